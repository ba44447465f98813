import BasculeModel
import Glibc

/// A repository's copy in an object storage, by rclone. Its keys lie in a file, never in an argument.
struct BucketCopy {
    private let bucket: BorgBucket
    private let configuration: PrivateFile
    private let authority: PrivateFile?

    init(_ bucket: BorgBucket, resolve: (SecretName) throws -> Secret) throws {
        self.bucket = bucket
        configuration = try PrivateFile(
            """
            [bucket]
            type = s3
            provider = Other
            access_key_id = \(try resolve(bucket.accessKey).reveal())
            secret_access_key = \(try resolve(bucket.secretKey).reveal())
            endpoint = https://\(bucket.endpoint)
            region = \(bucket.region)
            force_path_style = \(bucket.pathStyle)
            storage_class = \(bucket.storageClass)
            no_check_bucket = true

            """)
        authority = try bucket.authority.map { try PrivateFile($0) }
    }

    private var place: String { "bucket:\(bucket.bucket)/\(bucket.prefix)" }

    func fetch(to path: String) throws {
        try run("copy", [place, path], "bringing the repository from the bucket")
    }

    /// Also deletes there what is no longer here: only after a prune, and only with a key that may.
    func mirror(from path: String) throws {
        try run("sync", [path, place], "bringing the pruned repository to the bucket")
    }

    private func run(_ verb: String, _ places: [String], _ what: String) throws {
        defer {
            configuration.remove()
            authority?.remove()
        }
        var arguments = [verb, "--config=\(configuration.path)", "--transfers=8", "--checksum", "--retries=3"]
        if let authority { arguments.append("--ca-cert=\(authority.path)") }
        let ending = try FilesCommand(program: "rclone", arguments: arguments + places).run { _ in }
        guard ending.status == 0 else {
            throw BasculeError(
                .borgFailed, "rclone failed with status \(ending.status) while \(what)",
                at: .thing("\(bucket.endpoint)/\(bucket.bucket)/\(bucket.prefix)"),
                cause: printable(ending.complaint.suffix(500), limit: 600),
                hint:
                    "Check the endpoint and the key's rights; an object in a frozen storage class must be thawed first."
            )
        }
    }
}
