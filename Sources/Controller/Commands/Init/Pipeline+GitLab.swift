import BasculeModel

extension Pipeline {
    /// `.gitlab-ci.yml`
    var gitlab: String {
        let head = """
            # Made by `bascule init --ci gitlab`; yours from here on.
            #
            # validate   every push and merge request
            # plan       merge requests: the plan as a note (BASCULE_NOTES: a project token that may write notes)
            # rehearse   the whole stack on throwaway nodes; needs a privileged runner (tag bascule-lab)
            # release    main: the apps, each with a token that can release it and nothing else
            # apply      by hand, on main: everything
            #
            # plan and apply need the fleet's store, hence a runner with a shell executor beside it (tag bascule). What runs
            # there may touch every node: make the tag's runner a protected one if strangers may open merge requests.
            stages: [validate, plan, rehearse, release, apply]
            default:
              image: debian:12
              interruptible: false
            .install: &install
            \(script([
                "command -v curl > /dev/null || { apt-get update --quiet; apt-get install --yes --quiet curl ca-certificates; }"
            ] + Self.install(in: "/tmp", sudo: ""), key: "before_script"))

            validate:
              stage: validate
              <<: *install
              rules:
                - if: $CI_PIPELINE_SOURCE == "merge_request_event"
                - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
            \(script(["bascule validate \(file)"]))

            plan:
              stage: plan
              tags: [bascule]
              rules:
                - if: $CI_PIPELINE_SOURCE == "merge_request_event"
            \(script([#"folder=$(mktemp -d)"#] + plan(in: "$folder") + [#"cp "$folder/plan.md" plan.md"#, note]))
              artifacts:
                when: always
                paths: [plan.md]

            """
        let tail = """

            apply:
              stage: apply
              tags: [bascule]
              environment: fleet
              rules:
                - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
                  when: manual
                  allow_failure: true
            \(script(["bascule apply -f \(file) --yes"]))

            """
        return head + rehearseJob + releases.map(job).joined() + tail
    }

    private var note: String {
        #"test -z "${BASCULE_NOTES:-}" || curl --fail --silent --show-error --output /dev/null --header "PRIVATE-TOKEN: $BASCULE_NOTES" --data-urlencode "body@plan.md" "$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes""#
    }

    private func script(_ lines: [String], key: String = "script") -> String {
        (["  \(key):", "    - |"] + lines.map { "      \($0)" }).joined(separator: "\n")
    }

    private var rehearseJob: String {
        guard rehearses else { return "" }
        let prepare = [
            "apt-get update --quiet",
            "apt-get install --yes --quiet debian-archive-keyring iproute2 mmdebstrap nftables systemd-container",
        ]
        return [
            "", "rehearse:", "  stage: rehearse", "  tags: [bascule-lab]", "  <<: *install", "  rules:",
            "    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"",
            "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
            script(prepare + rehearsal(store: "/tmp/rehearsal.db", sudo: "")),
            script(["bascule lab down -f \(file)"], key: "after_script"), "",
        ].joined(separator: "\n")
    }

    private func job(_ release: Release) -> String {
        [
            "", "release-\(release.app):", "  stage: release", "  <<: *install", "  environment: production",
            "  rules:", "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
            // A variable of the type file: its value is a path.
            script([self.release(release, token: "\"$\(release.secret)\"")]), "",
        ].joined(separator: "\n")
    }
}
