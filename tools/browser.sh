#!/bin/sh
# What the page's tests need beside Python: Chromium with its driver, and Node. Installed where that is possible (as root,
# with apt-get); elsewhere those tests are skipped and say so.
missing=""
command -v chromium >/dev/null && command -v chromedriver >/dev/null || missing="chromium chromium-driver"
command -v node >/dev/null || missing="$missing nodejs"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for the tests of the page:" $missing
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "tests of the page will be skipped; to run them: apt-get install" $missing
