import BasculeModel
import Glibc

/// libssl 3, loaded at run time: the agent stays free of it until a connection needs TLS, and the build needs no
/// development package. Immutable once loaded; OpenSSL 3 takes care of its own locks.
struct TLSLibrary: @unchecked Sendable {
    typealias Handle = OpaquePointer
    typealias Bytes = UnsafeMutableRawPointer

    let tlsClientMethod: @convention(c) () -> Handle?
    let contextNew: @convention(c) (Handle?) -> Handle?
    let contextFree: @convention(c) (Handle?) -> Void
    let contextControl: @convention(c) (Handle?, CInt, CLong, Bytes?) -> CLong
    let contextSetOptions: @convention(c) (Handle?, UInt64) -> UInt64
    let contextDefaultPaths: @convention(c) (Handle?) -> CInt
    let contextStore: @convention(c) (Handle?) -> Handle?
    let storeAdd: @convention(c) (Handle?, Handle?) -> CInt
    let storeSetFlags: @convention(c) (Handle?, CUnsignedLong) -> CInt
    let new: @convention(c) (Handle?) -> Handle?
    let free: @convention(c) (Handle?) -> Void
    let control: @convention(c) (Handle?, CInt, CLong, Bytes?) -> CLong
    let setVerify: @convention(c) (Handle?, CInt, Bytes?) -> Void
    let setHost: @convention(c) (Handle?, UnsafePointer<CChar>) -> CInt
    let setHostFlags: @convention(c) (Handle?, CUnsignedInt) -> Void
    let parameters: @convention(c) (Handle?) -> Handle?
    let parameterSetAddress: @convention(c) (Handle?, UnsafePointer<CChar>) -> CInt
    let setStreams: @convention(c) (Handle?, Handle?, Handle?) -> Void
    let connect: @convention(c) (Handle?) -> CInt
    let read: @convention(c) (Handle?, Bytes?, CInt) -> CInt
    let write: @convention(c) (Handle?, UnsafeRawPointer?, CInt) -> CInt
    let shutdown: @convention(c) (Handle?) -> CInt
    let lastError: @convention(c) (Handle?, CInt) -> CInt
    let verifyResult: @convention(c) (Handle?) -> CLong
    let verifyText: @convention(c) (CLong) -> UnsafePointer<CChar>?
    let version: @convention(c) (Handle?) -> UnsafePointer<CChar>?
    let peerCertificate: @convention(c) (Handle?) -> Handle?
    let certificateFree: @convention(c) (Handle?) -> Void
    let certificateDigest:
        @convention(c) (Handle?, Handle?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<CUnsignedInt>?) -> CInt
    let certificateEnd: @convention(c) (Handle?) -> Handle?
    let timeToTM: @convention(c) (Handle?, UnsafeMutablePointer<tm>?) -> CInt
    let sha256: @convention(c) () -> Handle?
    let readPEM: @convention(c) (Handle?, Bytes?, Bytes?, Bytes?) -> Handle?
    let memoryKind: @convention(c) () -> Handle?
    let streamNew: @convention(c) (Handle?) -> Handle?
    let streamOver: @convention(c) (UnsafeRawPointer?, CInt) -> Handle?
    let streamFree: @convention(c) (Handle?) -> CInt
    let streamRead: @convention(c) (Handle?, Bytes?, CInt) -> CInt
    let streamWrite: @convention(c) (Handle?, UnsafeRawPointer?, CInt) -> CInt
    let streamPending: @convention(c) (Handle?) -> Int
    let clearErrors: @convention(c) () -> Void
    let nextError: @convention(c) () -> CUnsignedLong
    let errorText: @convention(c) (CUnsignedLong, UnsafeMutablePointer<CChar>?, Int) -> Void

    private static let shared: Result<TLSLibrary, BasculeError> = {
        do throws(BasculeError) { return .success(try TLSLibrary()) } catch { return .failure(error) }
    }()

    /// The library, loaded on first use. Error: `tls-library-missing`.
    static func get() throws(BasculeError) -> TLSLibrary { try shared.get() }

    private init() throws(BasculeError) {
        let symbols = try Symbols(library: "libssl.so.3")
        tlsClientMethod = try symbols.find("TLS_client_method")
        contextNew = try symbols.find("SSL_CTX_new")
        contextFree = try symbols.find("SSL_CTX_free")
        contextControl = try symbols.find("SSL_CTX_ctrl")
        contextSetOptions = try symbols.find("SSL_CTX_set_options")
        contextDefaultPaths = try symbols.find("SSL_CTX_set_default_verify_paths")
        contextStore = try symbols.find("SSL_CTX_get_cert_store")
        storeAdd = try symbols.find("X509_STORE_add_cert")
        storeSetFlags = try symbols.find("X509_STORE_set_flags")
        new = try symbols.find("SSL_new")
        free = try symbols.find("SSL_free")
        control = try symbols.find("SSL_ctrl")
        setVerify = try symbols.find("SSL_set_verify")
        setHost = try symbols.find("SSL_set1_host")
        setHostFlags = try symbols.find("SSL_set_hostflags")
        parameters = try symbols.find("SSL_get0_param")
        parameterSetAddress = try symbols.find("X509_VERIFY_PARAM_set1_ip_asc")
        setStreams = try symbols.find("SSL_set_bio")
        connect = try symbols.find("SSL_connect")
        read = try symbols.find("SSL_read")
        write = try symbols.find("SSL_write")
        shutdown = try symbols.find("SSL_shutdown")
        lastError = try symbols.find("SSL_get_error")
        verifyResult = try symbols.find("SSL_get_verify_result")
        verifyText = try symbols.find("X509_verify_cert_error_string")
        version = try symbols.find("SSL_get_version")
        peerCertificate = try symbols.find("SSL_get1_peer_certificate")
        certificateFree = try symbols.find("X509_free")
        certificateDigest = try symbols.find("X509_digest")
        certificateEnd = try symbols.find("X509_get0_notAfter")
        timeToTM = try symbols.find("ASN1_TIME_to_tm")
        sha256 = try symbols.find("EVP_sha256")
        readPEM = try symbols.find("PEM_read_bio_X509")
        memoryKind = try symbols.find("BIO_s_mem")
        streamNew = try symbols.find("BIO_new")
        streamOver = try symbols.find("BIO_new_mem_buf")
        streamFree = try symbols.find("BIO_free")
        streamRead = try symbols.find("BIO_read")
        streamWrite = try symbols.find("BIO_write")
        streamPending = try symbols.find("BIO_ctrl_pending")
        clearErrors = try symbols.find("ERR_clear_error")
        nextError = try symbols.find("ERR_get_error")
        errorText = try symbols.find("ERR_error_string_n")
    }

    /// What OpenSSL's error queue of this thread says, emptied; nil if it says nothing.
    func takeErrors() -> String? {
        var texts: [String] = []
        while case let code = nextError(), code != 0 {
            var buffer = [CChar](repeating: 0, count: 256)
            errorText(code, &buffer, buffer.count)
            let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            // "error:0A000086:SSL routines::certificate verify failed": the last part is the one for people.
            if texts.count < 4 { texts.append(text.split(separator: ":").last.map { String($0) } ?? text) }
        }
        return texts.isEmpty ? nil : texts.joined(separator: "; ")
    }
}

/// Finds C functions in a shared library, which stays loaded for ever.
struct Symbols {
    let library: String
    let handle: UnsafeMutableRawPointer

    init(library: String) throws(BasculeError) {
        self.library = library
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else { throw Self.missing(library) }
        self.handle = handle
    }

    /// `Function` must be the C function's own type: nothing can check that.
    func find<Function>(_ name: String) throws(BasculeError) -> Function {
        guard let address = dlsym(handle, name) else { throw Self.missing("\(name) in \(library)") }
        return unsafeBitCast(address, to: Function.self)
    }

    private static func missing(_ what: String) -> BasculeError {
        BasculeError(
            .tlsLibraryMissing, "TLS needs OpenSSL 3, and it cannot be loaded", at: .thing(what),
            cause: dlerror().map { String(cString: $0) },
            hint: "Install the package libssl3 (libssl3t64 on newer Debian and Ubuntu).")
    }
}
