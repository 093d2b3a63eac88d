<?php // usage: php -d sqlite3.extension_dir=FOLDER archive.php URL
$db = new SQLite3(':memory:');
$db->loadExtension('rembed0.so');
$db->querySingle("SELECT rembed_register('c', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '{$argv[1]}')");
echo $db->querySingle("SELECT length(rembed('c', 'some text'))"), " bytes\n";
