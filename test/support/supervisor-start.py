#!/usr/bin/python3
"""
Stands in for what the balena Supervisor does to config.json when it starts on a device that has joined: it registers the device, which gives it an
ID, and drops the key of the fleet. {"register": false} in /run/stand-in.json keeps it from that.
"""

import json
import os

CONFIG = "/mnt/boot/config.json"
wishes = json.load(open("/run/stand-in.json")) if os.path.exists("/run/stand-in.json") else {}
config = json.load(open(CONFIG))
if "apiEndpoint" in config and "deviceId" not in config and wishes.get("register", True):
    config.pop("apiKey", None)
    config.update({"registered_at": 1767225600, "deviceId": 4711})
    with open(f"{CONFIG}.supervisor", "w", encoding="utf-8") as file:
        json.dump(config, file)
    os.replace(f"{CONFIG}.supervisor", CONFIG)
