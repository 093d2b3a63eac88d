"""The model that sqlite-rembed's format 'local' takes where no other is named: its files lie in this folder."""
