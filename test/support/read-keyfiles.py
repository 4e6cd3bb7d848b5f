"""Reads key files as NetworkManager does, with its own library, and prints what it understood as JSON.

Standard input: a JSON list of [name, text in base64]. Standard output: a list of {error} or {warnings, settings}, byte arrays as hex.
"""

import base64
import json
import sys

import gi

gi.require_version("NM", "1.0")
from gi.repository import GLib, NM


def plain(value):
    """A value of D-Bus as JSON: byte arrays become hex, everything else its like."""
    kind = value.get_type_string()
    if kind == "ay":
        return bytes(value.unpack()).hex()
    if kind == "v":
        return plain(value.get_variant())
    if kind.startswith("a{"):
        return {str(key): plain(value.lookup_value(key, None)) for key in value.keys()}
    if kind.startswith("a"):
        return [plain(value.get_child_value(index)) for index in range(value.n_children())]
    return value.unpack()


def read(name, content):
    warnings = []

    def on_event(keyfile, connection, kind, data, *rest):
        warnings.append(data.warn_get()[0] if kind == NM.KeyfileHandlerType.WARN else str(kind))
        return True

    try:
        keyfile = GLib.KeyFile()
        keyfile.load_from_bytes(GLib.Bytes.new(content), GLib.KeyFileFlags.NONE)
        connection = NM.keyfile_read(keyfile, "/etc/NetworkManager/system-connections", NM.KeyfileHandlerFlags.NONE, on_event)
        NM.keyfile_read_ensure_id(connection, name) if hasattr(NM, "keyfile_read_ensure_id") else None
        connection.normalize({})
        connection.verify()
    except GLib.Error as error:
        return {"error": error.message}
    return {"warnings": warnings, "settings": plain(connection.to_dbus(NM.ConnectionSerializationFlags.ALL))}


json.dump([read(name, base64.b64decode(content)) for name, content in json.load(sys.stdin)], sys.stdout)
