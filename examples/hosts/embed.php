<?php
// php.ini: sqlite3.extension_dir = /folder/of/the/library; PHP loads an extension from there and from nowhere else.
//     php -d sqlite3.extension_dir=target/release embed.php
$db = new SQLite3(':memory:');
$db->loadExtension('libsqlite_rembed.so');
$db->querySingle("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '" . getenv('REMBED_URL') . "')");
echo $db->querySingle("SELECT length(rembed('local', 'The quick brown fox')) / 4"), "\n";
