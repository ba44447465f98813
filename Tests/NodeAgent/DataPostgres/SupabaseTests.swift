import BasculeData
import BasculeModel
import BasculePostgres
import Testing

/// What makes a Supabase project one: its schemas and roles, `auth.uid()` in policies, bcrypt hashes of users.
private let project = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
            CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN;
        END IF;
    END $$;
    CREATE SCHEMA extensions; CREATE EXTENSION pgcrypto SCHEMA extensions;
    CREATE SCHEMA auth; CREATE SCHEMA storage;
    CREATE TABLE auth.users (id uuid PRIMARY KEY, email text UNIQUE, encrypted_password text);
    INSERT INTO auth.users VALUES ('00000000-0000-0000-0000-000000000001', 'a@x.y',
        extensions.crypt('correct horse', extensions.gen_salt('bf')));
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
        AS $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
    CREATE TABLE storage.objects (id int PRIMARY KEY, name text);
    CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users, note text);
    INSERT INTO profiles VALUES ('00000000-0000-0000-0000-000000000001', 'mine');
    CREATE TABLE public.unindexed (id int PRIMARY KEY, profile uuid REFERENCES profiles);
    INSERT INTO unindexed SELECT i, '00000000-0000-0000-0000-000000000001' FROM generate_series(1, 2000) i;
    ANALYZE unindexed;
    ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON profiles TO authenticated USING (auth.uid() = id);
    GRANT USAGE ON SCHEMA public, auth TO authenticated; GRANT SELECT ON profiles TO authenticated;
    GRANT EXECUTE ON FUNCTION auth.uid() TO authenticated;
    """

extension AgainstServers {
    @Suite struct SupabaseTests {
        @Test func withItsSchemasPoliciesAndPasswordsGoOnWorking() throws {
            var pair = try Pair("supabase", project)
            pair.move.schemas = ["public", "auth", "storage"]
            let found = try pair.preflight()
            #expect(found.passes, "\(found.findings.filter { $0.severity == .refuse })")
            #expect(found.findings.contains { $0.code == "foreign-key-unindexed" && $0.message.contains("profile") })
            let report = try pair.copy()
            #expect(report.proof != nil)
            let target = try pair.target.connect("supabase")
            // The hash is the users' own: they log in with the passwords that they have.
            let login = "SELECT encrypted_password = extensions.crypt($1, encrypted_password) FROM auth.users"
            #expect(try target.query(login, ["correct horse"]).scalar == "t")
            #expect(try target.query(login, ["wrong"]).scalar == "f")
            // The policy lets a user see what is theirs, and nothing else.
            try target.script("SET ROLE authenticated")
            #expect(try target.query("SELECT count(*) FROM profiles").scalar == "0")
            try target.script("SET request.jwt.claim.sub = '00000000-0000-0000-0000-000000000001'")
            #expect(try target.query("SELECT count(*) FROM profiles").scalar == "1")
        }

        @Test func aPolicyThatNeedsWhatStaysBehindIsRefusedByName() throws {
            var pair = try Pair("halfbase", project)
            pair.move.schemas = ["public"]
            let refused = try pair.preflight().findings.filter { $0.severity == .refuse }
            // Which names are quoted is the server's affair.
            let lines = refused.map { "\($0.code) \($0.object) \($0.message)".filter { $0 != "\"" } }
            #expect(lines.contains { $0.contains("own on public.profiles") && $0.contains("auth.uid()") }, "\(lines)")
            #expect(lines.contains { $0.contains("depends-outside public.profiles") }, "\(lines)")
            #expect(throws: BasculeError.self) { try pair.copy() }
        }
    }
}
