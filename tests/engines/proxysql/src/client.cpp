// What docs/proxysql.md says to a MySQL client of the server: transactions, the bytes of a vector, quotes in a text.

#include <chrono>

#include "check.h"
#include "session.h"

namespace {

void add(Session &s, const std::string &name, const std::string &url, const std::string &more = "") {
    s.value("SELECT rembed_register(" + quote(name) + ", 'format', 'ollama', 'url', " + quote(url) + more + ")");
}

// With autocommit=0 the server begins a transaction before a SELECT, and it is open until the client commits.
void without_autocommit_a_select_holds_the_lock(const Host &host) {
    Session s(host.db), other(host.db);
    add(s, "no-autocommit", host.fake.scenario("no-autocommit"));
    s.run("CREATE TABLE IF NOT EXISTS held(embedding BLOB)");
    s.run("BEGIN IMMEDIATE");
    EQUAL(s.value("SELECT length(rembed('no-autocommit', 'hello'))"), "3072");
    auto writes = other.send("INSERT INTO held VALUES (NULL)");
    REQUIRE(writes.wait_for(std::chrono::milliseconds(200)) == std::future_status::timeout);
    s.run("COMMIT");
    const Reply written = writes.get();
    REQUIRE(written.ok && written.locked > 0);

    // With autocommit=1 the same SELECT keeps nobody out.
    auto reads = s.send("SELECT length(rembed('no-autocommit', 'hello again'))");
    const Reply at_once = other.ask("INSERT INTO held VALUES (NULL)");
    REQUIRE(at_once.ok && at_once.locked == 0);
    EQUAL(*reads.get().rows.at(0).at(0), "3072");
}

// Many a driver decodes what it gets as UTF-8, and a vector is none: hex() is.
void a_vector_is_no_utf8_and_its_hex_is_ascii(const Host &host) {
    Session s(host.db);
    add(s, "no-utf8", host.fake.scenario("no-utf8"));
    const std::string bytes = s.value("SELECT rembed('no-utf8', 'a text')");
    // A byte of continuation where a character has to begin.
    bool utf8 = true;
    for (size_t i = 0; i < bytes.size() && utf8;) {
        const auto c = static_cast<unsigned char>(bytes[i]);
        const size_t more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 9;
        utf8 = more < 9 && i + more < bytes.size();
        for (size_t k = 1; k <= more && utf8; ++k) utf8 = (static_cast<unsigned char>(bytes[i + k]) & 0xC0) == 0x80;
        i += more + 1;
    }
    REQUIRE(!utf8);
    const std::string hex = s.value("SELECT hex(rembed('no-utf8', 'a text'))");
    EQUAL(hex.size(), 2 * bytes.size());
    EQUAL(hex.find_first_not_of("0123456789ABCDEF"), std::string::npos);
    // And back: what a client holds as hex is a vector in SQL.
    EQUAL(s.value("SELECT vec_distance_cosine(rembed('no-utf8', 'a text'), x'" + hex + "') < 1e-6"), "1");
}

std::string hex_of(const std::string &text) {
    std::string hex;
    for (const char c : text) {
        char two[3];
        std::snprintf(two, sizeof two, "%02X", static_cast<unsigned char>(c));
        hex += two;
    }
    return hex;
}

// A MySQL driver writes a quote as \', which ends the literal in SQLite; hexadecimal digits are the same in both.
void a_text_with_quotes_is_cast_from_hex(const Host &host) {
    Session s(host.db);
    add(s, "quotes", host.fake.scenario("quotes"));
    const std::string text = "It's \"quoted\", a \\ backslash, \n a line, \xC3\xA9 and \xF0\x9F\xA6\x80";
    const Reply escaped = s.ask("SELECT rembed('quotes', 'It\\'s quoted')");
    REQUIRE(!escaped.ok && escaped.rc == SQLITE_ERROR);
    const std::string cast = "CAST(x'" + hex_of(text) + "' AS TEXT)";
    EQUAL(s.value("SELECT " + cast), text);
    EQUAL(s.value("SELECT rembed('quotes', " + cast + ") = rembed('quotes', " + quote(text) + ")"), "1");
    // Without the CAST it is a BLOB, and refused.
    REQUIRE(s.ask("SELECT rembed('quotes', x'" + hex_of(text) + "')").rows.empty());
    CONTAINS(s.value("SELECT rembed_last_error()"), "BLOB");
}

// The server refuses KILL QUERY: what ends a call that takes too long is its timeout.
void a_timeout_ends_a_call(const Host &host) {
    Session s(host.db);
    add(s, "late", host.fake.scenario("late", R"({"faults":[{"hang":true}]})"), ", 'timeout', 0.3, 'retries', 0");
    auto waiting = s.send("SELECT rembed('late', 'hello')");
    REQUIRE(waiting.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
    REQUIRE(waiting.get().rows.empty());
    CONTAINS(s.value("SELECT rembed_last_error()"), "client 'late'");
}

// A provider that takes 300 ms: an INSERT that finds its vector in memory keeps nobody waiting.
void a_prefetch_keeps_the_lock_short(const Host &host) {
    Session s(host.db), other(host.db);
    add(s, "prefetched", host.fake.scenario("prefetched", R"({"latency_ms":300})"));
    s.run("CREATE TABLE IF NOT EXISTS held(embedding BLOB)");
    const auto write_beside = [&](const std::string &text) {
        auto inserts = s.send("INSERT INTO held SELECT rembed('prefetched', " + quote(text) + ")");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const Reply beside = other.ask("INSERT INTO held VALUES (NULL)");
        REQUIRE(beside.ok && inserts.get().ok);
        return beside.locked;
    };
    REQUIRE(write_beside("alone") > 0);
    EQUAL(s.value("SELECT rembed_prefetch('prefetched', '[\"fetched\"]')"), "1");
    EQUAL(write_beside("fetched"), 0);
}

}  // namespace

std::vector<Case> client_cases() {
    return {
        {"autocommit=0: a SELECT embeds, and holds the lock", without_autocommit_a_select_holds_the_lock},
        {"a vector is no UTF-8, and hex() of it is ASCII", a_vector_is_no_utf8_and_its_hex_is_ascii},
        {"a text with quotes is CAST(x'...' AS TEXT)", a_text_with_quotes_is_cast_from_hex},
        {"a timeout ends a call that nobody can kill", a_timeout_ends_a_call},
        {"rembed_prefetch() in a read keeps the lock of a write short", a_prefetch_keeps_the_lock_short},
    };
}
