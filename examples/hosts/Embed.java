// org.xerial:sqlite-jdbc, or Debian's libxerial-sqlite-jdbc-java
import java.sql.*;
import org.sqlite.SQLiteConfig;

public class Embed {
    public static void main(String[] args) throws SQLException {
        SQLiteConfig config = new SQLiteConfig();
        config.enableLoadExtension(true);
        try (Connection db = DriverManager.getConnection("jdbc:sqlite::memory:", config.toProperties());
                Statement sql = db.createStatement()) {
            sql.execute("SELECT load_extension('" + System.getenv("REMBED_LIB") + "')");
            sql.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '" + System.getenv("REMBED_URL") + "')");
            System.out.println(sql.executeQuery("SELECT length(rembed('local', 'The quick brown fox')) / 4").getInt(1));
        }
    }
}
