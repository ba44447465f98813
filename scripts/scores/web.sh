#!/bin/bash
# Asks testssl.sh, sslyze, gixy and nmap about a web node, from outside it. One line a score; 1 where one has a finding.
#
#   web.sh ADDRESS DOMAIN [CA.pem [NGINX-T.txt [PORTS]]]
#
# CA.pem       the root that the node's certificate leads to, where it is no public one
# NGINX-T.txt  what `nginx -T` says on the node, for gixy
# PORTS        the declared ports, in order (default: 22 80 443)
#
# Programs: testssl (Debian testssl.sh), nmap, sslyze and gixy (PyPI: sslyze, gixy-ng); others by TESTSSL, SSLYZE, GIXY.
# Findings that a test authority's certificate alone has are left out by name: EXPECTED.
set -u
address=${1:?usage: web.sh ADDRESS DOMAIN [CA.pem [NGINX-T.txt [PORTS]]]}
domain=${2:?usage: web.sh ADDRESS DOMAIN [CA.pem [NGINX-T.txt [PORTS]]]}
authority=${3:-}
configuration=${4:-}
ports=${5:-22 80 443}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

# A test authority publishes no revocation list, no certificate transparency log and no CAA record.
EXPECTED='cert_chain_of_trust cert_revocation cert_crlDistributionPoints certificate_transparency DNS_CAArecord OCSP_stapling'
[ -n "$authority" ] || EXPECTED=

say() { # NAME SCORE FINDINGS
    if [ -z "$3" ]; then echo "$1: $2"; else echo "$1: $2"; echo "$3" | sed 's/^/    /'; status=1; fi
}

timeout -k 5 900 "${TESTSSL:-testssl}" --quiet --color 0 --warnings batch -n none ${authority:+--add-ca "$authority"} \
    --jsonfile "$folder/testssl.json" --ip "$address" "$domain" >"$folder/testssl.txt" 2>&1 </dev/null
findings=$(python3 - "$folder/testssl.json" $EXPECTED <<'END'
import json, sys
try:
    entries = json.load(open(sys.argv[1]))
except Exception as error:
    print("testssl gave no result:", error)
    sys.exit()
bad = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"}  # WARN: what this OpenSSL cannot ask
for entry in entries:
    name = entry["id"].split(" ")[0]
    if entry["severity"] in bad and name not in sys.argv[2:]:
        print(entry["severity"], entry["id"], entry["finding"])
if len(entries) < 50:
    print("testssl ended early:", len(entries), "results")
END
)
say "testssl.sh" "$([ -n "$findings" ] && echo "$(echo "$findings" | wc -l) findings of LOW or worse" || echo "no finding of LOW or worse")" "$findings"

timeout -k 5 300 "${SSLYZE:-sslyze}" ${authority:+--certinfo_ca_file "$authority"} --mozilla_config=intermediate \
    "$domain:443{$address}" >"$folder/sslyze.txt" 2>&1 </dev/null
if grep -q "OK - Compliant" "$folder/sslyze.txt"; then
    say sslyze "compliant with Mozilla's intermediate configuration" ""
else
    say sslyze "not compliant" "$(sed -n '/COMPLIANCE AGAINST/,$p' "$folder/sslyze.txt")"
fi

if [ -n "$configuration" ]; then
    # missing_resolver: an app's upstream is a variable with several values (an instance that is to end is left out), each the
    # name of a group of loopback addresses. There is no name to resolve, and without a resolver nginx never asks for one.
    findings=$(timeout -k 5 120 "${GIXY:-gixy}" --skips missing_resolver "$configuration" 2>&1)
    if [ $? -eq 0 ]; then say gixy "no finding" ""; else say gixy "findings" "$findings"; fi
fi

open=$(timeout -k 5 600 nmap -n -Pn -p- --open -T4 --min-rate 2000 -oG - "$address" 2>/dev/null \
    | grep -oE '[0-9]+/open/tcp' | cut -d/ -f1 | sort -n | xargs)
if [ "$open" = "$ports" ]; then say nmap "open: $open, as declared" ""; else say nmap "differs" "open: $open; declared: $ports"; fi
exit $status
