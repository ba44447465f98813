import BasculeModel

// Words of the model that may be written in the fleet file.

extension Presence: CaseIterable {
    package static var allCases: [Presence] { [.present, .absent] }
}

extension RedisPurpose: CaseIterable {
    package static var allCases: [RedisPurpose] { [.cache, .durable] }
}

extension IfAlone: CaseIterable {
    package static var allCases: [IfAlone] { [.hold, .rollback] }
}
