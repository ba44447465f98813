import BasculeModel
import Foundation

extension Codec where Value == String {
    /// A line of an authorized_keys file, without options.
    static var publicKey: Codec {
        .scalar(
            "an SSH public key such as \"ssh-ed25519 AAAA… comment\"",
            hint: "take the line from a .pub file; ssh-ed25519 is the one that everything understands",
            parse: { text in
                let words = text.split(separator: " ").map(String.init)
                let types = [
                    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-rsa",
                ]
                guard words.count >= 2, types.contains(words[0]), !PathText.hasControl(text),
                    let bytes = Data(base64Encoded: words[1]), !bytes.isEmpty
                else { return nil }
                return words.joined(separator: " ")
            })
    }

    /// When a node may restart: `04:30`, `Sun 04:30` or `Mon,Thu 04:30`, in UTC or the node's own zone.
    static var rebootTime: Codec {
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
        return .scalar(
            "a time such as 04:30 or \"Sun 04:30\"",
            pattern: "^((Mon|Tue|Wed|Thu|Fri|Sat|Sun)(,(Mon|Tue|Wed|Thu|Fri|Sat|Sun))* )?[0-2][0-9]:[0-5][0-9]$",
            hint: "write English days of three letters, then hours and minutes", show: { .text($0) },
            parse: { text in
                let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
                guard let clock = words.last, words.count <= 2, clock.utf8.count == 5 else { return nil }
                let parts = clock.split(separator: ":").map(String.init)
                guard parts.count == 2, let hour = Int(parts[0]), let minute = Int(parts[1]),
                    (0...23).contains(hour), (0...59).contains(minute)
                else { return nil }
                let named = words.count == 2 ? words[0].split(separator: ",", omittingEmptySubsequences: false) : []
                return named.allSatisfy { days.contains(String($0)) } ? text : nil
            })
    }
}
