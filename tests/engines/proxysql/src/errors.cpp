// The server drops the error of a SELECT, and repeats BUSY and LOCKED for ever: what that asks of an extension.

#include <chrono>
#include <csignal>

#include "check.h"
#include "session.h"

namespace {

using Clock = std::chrono::steady_clock;

long milliseconds(Clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since).count();
}

void add(Session &s, const std::string &name, const std::string &url, const std::string &more = "") {
    s.value("SELECT rembed_register(" + quote(name) + ", 'format', 'ollama', 'url', " + quote(url) + more + ")");
}

// An empty result, no error: only rembed_last_error() knows.
void a_dropped_error_is_kept(const Host &host) {
    Session s(host.db), other(host.db);
    const Reply first = s.ask("SELECT rembed_last_error()");
    REQUIRE(first.rows.size() == 1 && !first.rows[0][0]);

    const Reply reply = s.ask("SELECT rembed('nobody', 'hello')");
    REQUIRE(reply.ok && reply.error.empty() && reply.rows.empty());
    EQUAL(reply.rc, SQLITE_ERROR);
    CONTAINS(s.value("SELECT rembed_last_error()"), "'nobody' was not registered with rembed_clients");

    add(s, "locked-out", host.fake.scenario("locked-out", R"({"key":"sk-right"})"), ", 'key', 'sk-wrong'");
    REQUIRE(s.ask("SELECT rembed('locked-out', 'hello')").rows.empty());
    const std::string why = s.value("SELECT rembed_last_error()");
    for (const char *part : {"client 'locked-out'", "ollama", "HTTP 401"}) CONTAINS(why, part);
    REQUIRE(why.find("sk-wrong") == std::string::npos);

    // It is the session's own, and a call that succeeds leaves it.
    const Reply others = other.ask("SELECT rembed_last_error()");
    REQUIRE(!others.rows.at(0).at(0));
    s.value("SELECT rembed_version()");
    EQUAL(s.value("SELECT rembed_last_error()"), why);
}

void an_insert_tells_its_error(const Host &host) {
    Session s(host.db);
    s.run("CREATE TABLE IF NOT EXISTS failing(embedding BLOB)");
    const Reply reply = s.ask("INSERT INTO failing SELECT rembed('nobody', 'hello')");
    REQUIRE(!reply.ok);
    CONTAINS(reply.error, "'nobody' was not registered");
    EQUAL(s.value("SELECT count(*) FROM failing"), "0");
    const Reply bad = s.ask("INSERT INTO temp.rembed_clients(name, options) VALUES ('bad', '{\"format\":\"nope\"}')");
    REQUIRE(!bad.ok);
    CONTAINS(bad.error, "nope");
}

// Whatever the provider does, the code is SQLITE_ERROR: with BUSY the server would never come back.
void no_fault_looks_like_a_lock(const Host &host) {
    Session s(host.db);
    const std::vector<std::string> faults = {
        R"("status":429,"headers":{"retry-after":"0"})",
        R"("status":503)",
        R"("status":500)",
        R"("status":409)",
        R"("status":423)",
        R"("reset":"before")",
        R"("reset":"mid")",
        R"("hang":true)",
        R"("html":true)",
        R"("bad_json":true)",
        R"("count":1)",
        R"("zero":true)",
    };
    for (size_t i = 0; i < faults.size(); ++i) {
        const std::string name = "fault" + std::to_string(i);
        add(s, name, host.fake.scenario(name, "{\"faults\":[{" + faults[i] + "}]}"), ", 'retries', 1, 'timeout', 0.5");
        const Reply select = s.ask("SELECT rembed(" + quote(name) + ", 'hello')");
        if (select.rc != SQLITE_ERROR || select.locked != 0 || !select.rows.empty()) {
            throw std::runtime_error(faults[i] + ": rc " + std::to_string(select.rc));
        }
        CONTAINS(s.value("SELECT rembed_last_error()"), name);
        const Reply insert = s.ask("CREATE TABLE never AS SELECT rembed(" + quote(name) + ", 'hello') AS e");
        REQUIRE(insert.rc == SQLITE_ERROR && insert.locked == 0 && !insert.ok);
    }
    add(s, "nobody-listens", "http://127.0.0.1:9", ", 'retries', 0");
    const Reply refused = s.ask("SELECT rembed('nobody-listens', 'hello')");
    REQUIRE(refused.rc == SQLITE_ERROR && refused.locked == 0);
    CONTAINS(s.value("SELECT rembed_last_error()"), "refused");
}

// A program that does not ignore SIGPIPE would end here, if a request were written like to a pipe.
void a_provider_that_hangs_up_does_not_end_the_host(const Host &host) {
    REQUIRE(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    Session s(host.db);
    add(s, "hangs-up", host.fake.scenario("hangs-up", R"({"faults":[{"every":2,"close":"silent"}]})"), ", 'cache', 'off'");
    for (int i = 0; i < 20; ++i) EQUAL(s.value("SELECT length(rembed('hangs-up', 'hello'))"), "3072");
}

// As a server does to kill a query. Before 3.41.0 an extension cannot tell that it is interrupted.
void an_interrupt_ends_the_wait(const Host &host) {
    if (sqlite3_libversion_number() < 3041000) return;
    Session s(host.db);
    add(s, "hangs", host.fake.scenario("hangs", R"({"faults":[{"hang":true}]})"), ", 'timeout', 20");
    auto waiting = s.send("SELECT rembed('hangs', 'hello')");
    REQUIRE(waiting.wait_for(std::chrono::milliseconds(300)) == std::future_status::timeout);
    const auto start = Clock::now();
    s.interrupt();
    EQUAL(waiting.get().rc, SQLITE_INTERRUPT);
    const long took = milliseconds(start);
    if (took > 400) throw std::runtime_error("it took " + std::to_string(took) + " ms");
    add(s, "hangs", host.fake.scenario("hangs"));
    EQUAL(s.value("SELECT length(rembed('hangs', 'hello'))"), "3072");
}

}  // namespace

std::vector<Case> error_cases() {
    return {
        {"rembed_last_error() tells what the server drops", a_dropped_error_is_kept},
        {"an INSERT that cannot embed tells why", an_insert_tells_its_error},
        {"no fault of a provider looks like a lock", no_fault_looks_like_a_lock},
        {"a provider that hangs up does not end the host", a_provider_that_hangs_up_does_not_end_the_host},
        {"an interrupt ends the wait for a provider", an_interrupt_ends_the_wait},
    };
}
