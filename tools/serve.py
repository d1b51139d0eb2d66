"""Detect objects over HTTP: python tools/serve.py [CONFIG] MODEL"""

from rdet.commands.serve import main

if __name__ == "__main__":
    main()
