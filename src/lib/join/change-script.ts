import { fleetChangeFolder as changeFolder, liveConfigPath } from '../device/live-config.js';

/** The config.json from before, as long as it may have to come back. */
export const backupPath = '/mnt/boot/config.json.before';

/** Exit codes of the scripts here, as in sysexits.h. */
export const scriptCodes = { gone: 66, died: 70, brokenOff: 74, busy: 75 } as const;

/** What marks a line of the log as one of this script; the others are what os-config prints. */
export const stepMark = '\u0001';

const pause = `pause() { sleep 0.1 2>/dev/null || sleep 1; }`;
// Where a file is missing or not yet written the number is empty, which BusyBox takes for the own group of processes.
const signal = `signal() { [ -n "$2" ] && kill "$1" "$2" 2>/dev/null; }`;
const hash = `hash() { sha256sum < "$1" | cut -d ' ' -f 1; }`;

/**
 * Changes a device from beginning to end without anybody's help, so that neither a lost link nor the end of davit stops it halfway: a
 * backup, the new config.json, os-config; and back to what was there if anything fails. os-config takes a configuration as an
 * argument only, which everybody on the device could read. So this does what `os-config join` does with its other parts: config.json is
 * written while the Supervisor stands still, `generate-api-key` makes the device's own key or finds the one that it has,
 * and `update` fetches the configuration of the services from the cloud (os-config 1.4, `src/join.rs`).
 *
 * Its words: `join` or `leave`, SHA-256 of the old and of the new config.json, seconds that os-config has, the URL that os-config will ask,
 * files that os-config writes and units that read them, a line for each.
 */
export const workerScript = `
trap '' HUP INT PIPE TERM
umask 077
cd ${changeFolder} || exit
kind=$1 old=$2 new=$3 seconds=$4 url=$5 files=$6 units=$7
config=${liveConfigPath} backup=${backupPath}
${signal}
${hash}
${pause}
IFS='
'
step() { printf '\\001%s\\n' "$1"; }
now() { read -r up < /proc/uptime; echo "\${up%%.*}"; }
deadline=$(($(now) + seconds))

end() {
  rm -f staged authority saved.*
  echo "$1" > result.new
  mv result.new result
  exit
}

# Runs a program that may take long, and ends it when it takes too long or nobody wants it any more.
run() {
  [ ! -e abort ] || return 1
  rm -f code child
  ( "$@" < /dev/null & echo $! > child; wait $!; echo $? > code.new; mv code.new code ) &
  while [ ! -e code ]; do
    # Without its folder it would wait for ever.
    [ -e worker ] || exit
    if [ -e abort ] || [ "$(now)" -ge "$deadline" ]; then signal -KILL "$(cat child 2>/dev/null)"; fi
    pause
  done
  wait
  return "$(cat code)"
}

replace() {
  part=$config.davit-$$
  cat "$1" > "$part" && sync && [ "$(hash "$part")" = "$2" ] && mv -f "$part" "$config" && sync && [ "$(hash "$config")" = "$2" ]
  code=$?
  rm -f "$part"
  return "$code"
}

save() {
  number=0
  for file in $files; do
    number=$((number + 1))
    [ -e "$file" ] && cp -p "$file" "saved.$number"
  done
}

put_back_files() {
  number=0 isChanged=
  for file in $files; do
    number=$((number + 1))
    if [ -e "saved.$number" ]; then
      cmp -s "saved.$number" "$file" && continue
      cp -p "saved.$number" "$file.davit" && mv -f "$file.davit" "$file"
    elif [ -e "$file" ]; then
      rm -f "$file"
    else
      continue
    fi
    isChanged=yes
  done
  [ -z "$isChanged" ] || for unit in $units; do systemctl restart "$unit"; done
}

undo() {
  step 'Putting back what was there before'
  [ -z "$supervisor" ] || systemctl stop "$supervisor"
  isBack=
  replace "$backup" "$old" && isBack=yes
  put_back_files
  [ -z "$supervisor" ] || systemctl start "$supervisor"
  [ -n "$isBack" ] || end stuck
  rm -f "$backup"
  if [ -e abort ]; then end aborted; elif [ "$(now)" -ge "$deadline" ]; then end timeout; else end "failed $1"; fi
}

# Any answer of the cloud will do: os-config sends a key along, which curl would have to be told.
ask() {
  run curl --silent --show-error --output /dev/null --max-time 30 "$@"
  code=$?
  [ -e abort ] && end aborted
  # Name, connection, time, TLS and certificate; others are about curl itself.
  case $code in 5|6|7|28|35|51|52|56|60) return 1 ;; esac
}

if [ -n "$url" ] && command -v curl >/dev/null; then
  step "Asking $url"
  ask "$url" || { [ -s authority ] && ask --cacert authority "$url"; } || end unreachable
fi
[ "$(hash "$config")" = "$old" ] || end changed
cp "$config" "$backup" && sync && [ "$(hash "$backup")" = "$old" ] || { rm -f "$backup"; end unwritten; }
save
supervisor=
for unit in balena-supervisor resin-supervisor; do
  systemctl cat "$unit" >/dev/null 2>&1 && supervisor=$unit && break
done

if [ "$kind" = join ]; then
  if [ -n "$supervisor" ]; then
    step "Stopping the Supervisor"
    run systemctl stop "$supervisor" || undo $?
    # It may have written something until it stood still.
    if [ "$(hash "$config")" != "$old" ]; then
      systemctl start "$supervisor"
      rm -f "$backup"
      end changed
    fi
  fi
  step "Writing config.json"
  replace staged "$new" || undo $?
  run os-config generate-api-key || undo $?
  run os-config update || undo $?
  [ -z "$supervisor" ] || run systemctl start "$supervisor" || undo $?
else
  run os-config leave || undo $?
fi
rm -f "$backup"
end done
`;

/**
 * Starts the worker, which is its `$2`, with the words that follow. `$1` is a name for the change. Reads the new config.json and the certificates of its cloud, each as a line
 * in base64, and a line `end` which says that all has come.
 */
export const startScript = `
umask 077
folder=${changeFolder}
${signal}
${hash}
IFS= read -r staged && IFS= read -r authority && IFS= read -r last && [ "$last" = end ] || exit ${scriptCodes.brokenOff}
# Nothing waits from here on, and one at a time comes through.
trap '' HUP INT PIPE TERM
if ! mkdir "$folder.claim"; then
  [ -e "$folder.claim" ] || [ -e "$folder" ] && exit ${scriptCodes.busy}
  exit ${scriptCodes.brokenOff}
fi
trap 'rm -rf "$folder.claim"' EXIT
if [ -e "$folder" ]; then
  [ ! -e "$folder/result" ] && signal -0 "$(cat "$folder/pid" 2>/dev/null)" && exit ${scriptCodes.busy}
  rm -rf "$folder"
fi
broken() { rm -rf "$folder"; exit ${scriptCodes.brokenOff}; }
mkdir "$folder" || broken
printf %s "$staged" | base64 -d > "$folder/staged"
printf %s "$authority" | base64 -d > "$folder/authority"
[ "$3" = leave ] || [ "$(hash "$folder/staged")" = "$5" ] || broken
printf %s "$1" > "$folder/name"
printf %s "$2" > "$folder/worker"
shift 2
starter=setsid
command -v setsid >/dev/null || starter=nohup
"$starter" sh "$folder/worker" "$@" < /dev/null > "$folder/log" 2>&1 &
echo $! > "$folder/pid"
exit 0`;

const isTheSame = `[ "$(cat ${changeFolder}/name 2>/dev/null)" = "$1" ]`;

/** Prints the log of the change `$1` from the byte `$2` on as it grows, and on standard error how the change ended. */
export const followScript = `
${isTheSame} && cd ${changeFolder} || exit ${scriptCodes.gone}
at=$2
${signal}
${pause}
while :; do
  isLast=
  [ -e result ] && isLast=yes
  size=$(wc -c < log)
  if [ "$size" -gt "$at" ]; then
    tail -c +$((at + 1)) log | head -c $((size - at)) || exit
    at=$size
  fi
  [ -n "$isLast" ] && exec cat result >&2
  signal -0 "$(cat pid)" || [ -e result ] || exit ${scriptCodes.died}
  pause
done`;

/** Asks the worker of the change `$1` to put everything back, if it is not done yet. */
export const abortScript = `${isTheSame} && touch ${changeFolder}/abort`;

/** Takes away what the change `$1` left, once it has ended. */
export const cleanScript = `${isTheSame} && [ -e ${changeFolder}/result ] && rm -rf ${changeFolder}`;
