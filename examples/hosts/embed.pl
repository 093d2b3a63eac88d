# cpan DBD::SQLite, or Debian's libdbd-sqlite3-perl
use strict;
use warnings;
use DBI;

my $db = DBI->connect("dbi:SQLite:dbname=:memory:", "", "", {RaiseError => 1});
$db->sqlite_enable_load_extension(1);
$db->sqlite_load_extension($ENV{REMBED_LIB});
$db->selectrow_array("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", {}, $ENV{REMBED_URL});
print $db->selectrow_array("SELECT length(rembed('local', 'The quick brown fox')) / 4"), "\n";
