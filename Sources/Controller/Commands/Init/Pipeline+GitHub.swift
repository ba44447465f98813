import BasculeModel

extension Pipeline {
    /// `.github/workflows/bascule.yml`
    var github: String {
        """
        # Made by `bascule init --ci github`; yours from here on.
        #
        # validate   every push and pull request
        # plan       pull requests of this repository: the plan as a comment
        # rehearse   the whole stack on throwaway nodes, before anything is released
        # release    main: the apps, each with a token that can release it and nothing else
        # apply      by hand (Run workflow): everything
        #
        # plan and apply need the fleet's store, hence a runner beside it (label bascule). What runs there may touch every
        # node: give the environment `fleet` required reviewers, so that a pull request does not get there unread.
        name: bascule
        on:
          pull_request:
          push:
            branches: [main]
          workflow_dispatch:
        permissions:
          contents: read
        concurrency:
          group: bascule-${{ github.ref }}
          cancel-in-progress: false
        env:
          BASCULE_DOWNLOAD: ${{ vars.BASCULE_DOWNLOAD }}
          BASCULE_SHA256: ${{ vars.BASCULE_SHA256 }}
        jobs:
          validate:
            runs-on: ubuntu-24.04
            steps:
              - uses: actions/checkout@v4
        \(installStep)
              - name: validate
                run: bascule validate \(file)

          plan:
            if: github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository
            needs: validate
            runs-on: [self-hosted, bascule]
            environment: fleet
            steps:
              - uses: actions/checkout@v4
              - name: plan
        \(run(plan(in: "$RUNNER_TEMP")))
              - uses: actions/upload-artifact@v4
                if: always()
                with:
                  name: plan
                  path: ${{ runner.temp }}/plan.md

          comment:
            if: always() && needs.plan.result != 'skipped'
            needs: plan
            runs-on: ubuntu-24.04
            permissions:
              pull-requests: write
            env:
              GH_TOKEN: ${{ github.token }}
              GH_REPO: ${{ github.repository }}
              NUMBER: ${{ github.event.pull_request.number }}
            steps:
              - uses: actions/download-artifact@v4
                with:
                  name: plan
              - name: comment
        \(run([
            #"gh pr comment "$NUMBER" --edit-last --body-file plan.md || gh pr comment "$NUMBER" --body-file plan.md"#
        ]))
        \(rehearseJob)\(releaseJob)
          apply:
            if: github.event_name == 'workflow_dispatch'
            needs: \(needs)
            runs-on: [self-hosted, bascule]
            environment: fleet
            steps:
              - uses: actions/checkout@v4
              - name: apply
                run: bascule apply -f \(file) --yes

        """
    }

    private var needs: String { rehearses ? "[validate, rehearse]" : "validate" }

    private var installStep: String {
        "      - name: install bascule\n" + run(Self.install(in: "$RUNNER_TEMP", sudo: "sudo "))
    }

    private func run(_ lines: [String]) -> String {
        (["        run: |"] + lines.map { "          \($0)" }).joined(separator: "\n")
    }

    private var rehearseJob: String {
        guard rehearses else { return "" }
        let prepare = [
            "sudo apt-get update --quiet",
            "sudo apt-get install --yes --quiet debian-archive-keyring iproute2 mmdebstrap nftables systemd-container",
        ]
        return [
            "", "  rehearse:", "    needs: validate", "    runs-on: ubuntu-24.04", "    timeout-minutes: 60",
            "    steps:", "      - uses: actions/checkout@v4", installStep, "      - name: rehearse",
            run(prepare + rehearsal(store: #""$RUNNER_TEMP/rehearsal.db""#, sudo: "sudo ")),
            "      - name: take the throwaway nodes down", "        if: always()",
            "        run: sudo bascule lab down -f \(file)", "",
        ].joined(separator: "\n")
    }

    private var releaseJob: String {
        guard !releases.isEmpty else { return "" }
        let steps = releases.flatMap { release in
            [
                "      - name: release \(release.app)", "        env:",
                "          BASCULE_TOKEN: ${{ secrets.\(release.secret) }}",
                run([
                    "umask 077", #"trap 'rm -f "$RUNNER_TEMP/token"' EXIT"#,
                    #"printf '%s' "$BASCULE_TOKEN" > "$RUNNER_TEMP/token""#,
                    self.release(release, token: #""$RUNNER_TEMP/token""#),
                ]),
            ]
        }
        let head = [
            "", "  release:", "    if: github.event_name == 'push'", "    needs: \(needs)",
            "    runs-on: ubuntu-24.04", "    environment: production", "    steps:",
            "      - uses: actions/checkout@v4", installStep,
        ]
        return (head + steps + [""]).joined(separator: "\n")
    }
}
