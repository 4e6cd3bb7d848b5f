#!/usr/bin/python3
"""
Stands in for os-config of balenaOS (github.com/balena-os/os-config 1.4), which cannot be had here: its sub-commands with the steps, the output
and the effects that its sources have. /run/stand-in.json says at which step it fails, hangs or takes its time: {"update:write": "fail"}.
"""

import base64
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.request

CONFIG = "/mnt/boot/config.json"
SCHEMA = "/etc/os-config.json"
SUPERVISOR = "balena-supervisor.service"
command = sys.argv[1] if len(sys.argv) > 1 else ""


def say(words):
    print(words, flush=True)


def step(name):
    wish = wishes.get(f"{command}:{name}")
    if wish == "fail":
        say(f"Error: {command} failed at {name}")
        sys.exit(4)
    while wish == "hang":
        time.sleep(0.05)
    time.sleep(wish if isinstance(wish, (int, float)) else 0)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, content):
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(f"{path}.tmp", path)


def write_config(config):
    step("write")
    say(f"Writing {CONFIG}")
    write(CONFIG, json.dumps(config, indent=2))


def unit(verb, name):
    subprocess.run(["systemctl", verb, name], check=True)


def host_of(url):
    return url.split("://", 1)[1]


def generate_api_key():
    config = read(CONFIG)
    if "apiEndpoint" not in config:
        return say("Unconfigured device")
    if "deviceApiKey" in config:
        return say("`deviceApiKey` already generated")
    host = host_of(config["apiEndpoint"])
    known = config.get("deviceApiKeys", {})
    say("Reusing stored `deviceApiKey`" if host in known else "New `deviceApiKey` generated")
    config["deviceApiKey"] = known.get(host, secrets.token_hex(16))
    config["deviceApiKeys"] = {**known, host: config["deviceApiKey"]}
    write_config(config)


def update():
    config = read(CONFIG)
    if "apiEndpoint" not in config:
        return say("Unconfigured device. Exiting...")
    url = config["apiEndpoint"] + "/os/v1/config"
    say(f"Fetching service configuration from {url}...")
    step("fetch")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {config.get('deviceApiKey', '')}"})
    trust = ssl.create_default_context()
    if "balenaRootCA" in config:
        trust.load_verify_locations(cadata=base64.b64decode(config["balenaRootCA"]).decode())
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
        remote = json.load(answer)
    say("Service configuration retrieved")
    say("Checking for config.json migrations...")
    changed = {key: value for key, value in remote["config"]["overrides"].items() if config.get(key) != value}
    files = [
        (service, name, file["path"], remote["services"][service["id"]][name])
        for service in schema["services"]
        for name, file in sorted(service["files"].items())
    ]
    if not changed and all(os.path.exists(path) and open(path).read() == text for _, _, path, text in files):
        return say("No configuration changes")
    step("stop")
    say(f"Stopping {SUPERVISOR}...")
    unit("stop", SUPERVISOR)
    say(f"Awaiting {SUPERVISOR} to exit...")
    if changed:
        write_config({**config, **changed})
    for _, _, path, text in files:
        step("services")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, text)
        say(f"{path} updated")
    for service in schema["services"]:
        for name in service["systemd_services"]:
            say(f"Starting {name}...")
            unit("restart", name)
    step("start")
    say(f"Starting {SUPERVISOR}...")
    unit("start", SUPERVISOR)


def leave():
    config = read(CONFIG)
    if "apiEndpoint" not in config:
        return say("Unconfigured device. Exiting...")
    step("stop")
    say(f"Stopping {SUPERVISOR}...")
    unit("stop", SUPERVISOR)
    say("Deleting config.json keys")
    if "deviceApiKey" in config:
        host = host_of(config["apiEndpoint"])
        config["deviceApiKeys"] = {**config.get("deviceApiKeys", {}), host: config["deviceApiKey"]}
    write_config({key: value for key, value in config.items() if key not in schema["keys"]})
    for service in schema["services"]:
        for _, file in sorted(service["files"].items()):
            step("services")
            os.remove(file["path"])
            say(f"{file['path']} deleted")
        for name in service["systemd_services"]:
            unit("reload-or-restart", name)
    step("start")
    say(f"Starting {SUPERVISOR}...")
    unit("start", SUPERVISOR)


wishes = read("/run/stand-in.json") if os.path.exists("/run/stand-in.json") else {}
schema = read(SCHEMA)
{"generate-api-key": generate_api_key, "update": update, "leave": leave}[command]()
