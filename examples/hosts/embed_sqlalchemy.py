# pip install SQLAlchemy: every connection of the pool gets the extension
import os

from sqlalchemy import create_engine, event, text

engine = create_engine("sqlite://")


@event.listens_for(engine, "connect")
def load_rembed(connection, _record):
    connection.enable_load_extension(True)
    connection.load_extension(os.environ["REMBED_LIB"])
    connection.enable_load_extension(False)


with engine.connect() as db:
    db.execute(text("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', :url)"), {"url": os.environ["REMBED_URL"]})
    print(db.execute(text("SELECT length(rembed('local', 'The quick brown fox')) / 4")).scalar())
