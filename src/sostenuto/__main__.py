"""``python -m sostenuto``: the command line."""

from sostenuto.cli.main import app

if __name__ == "__main__":
    app(prog_name="sostenuto")
