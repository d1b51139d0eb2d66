"""Reproduce the Focal Loss paper's tables at a small scale: python tools/paper.py run|status|report|figures"""

from rdet.commands.paper import main

if __name__ == "__main__":
    main()
