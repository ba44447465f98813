import BasculeModel

extension ErrorCode {
    /// The store's file is damaged, or no store of Bascule's.
    package static let storeDamaged: ErrorCode = "store-damaged"
    /// Another process holds the store.
    package static let storeBusy: ErrorCode = "store-busy"
    /// The disk that the store is on is full.
    package static let storeFull: ErrorCode = "store-full"
    /// The key that opens the store's secrets is missing or another one.
    package static let storeKey: ErrorCode = "store-key"
    /// What was asked for is not in the store.
    package static let notFound: ErrorCode = "not-found"
}
