"""Copy a note and add its signature (HMAC-SHA256). The key comes from the environment."""
import hashlib
import hmac
import os
import sys

note = sys.stdin.buffer.read()
key = os.environ["SIGNING_KEY"].encode()
sys.stdout.write(note.decode())
print("signature:", hmac.new(key, note, hashlib.sha256).hexdigest())
print("office has", len(os.environ["OFFICE"]), "letters", file=sys.stderr)
