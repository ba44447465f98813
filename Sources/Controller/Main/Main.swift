import BasculeCommands

/// The controller's program.
@main
struct Main {
    static func main() async { await Bascule.start() }
}
