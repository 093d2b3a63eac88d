// The clients of REMBED_CONFIG, which is read once: run.sh starts the host with it. The file names the clients
// 'configured' and 'other', or does not exist.

#include <cstdlib>
#include <fstream>

#include "check.h"
#include "session.h"

namespace {

const std::string EMBED = "SELECT length(rembed('configured', 'hello'))";

bool readable() { return std::ifstream(std::getenv("REMBED_CONFIG")).good(); }

void every_session_has_them(const Host &host) {
    Session one(host.db), other(host.db);
    EQUAL(one.value(EMBED), "3072");
    EQUAL(other.value(EMBED), "3072");
    EQUAL(other.value("SELECT group_concat(name) FROM temp.rembed_clients"), "configured,other");
}

void they_are_read_only(const Host &host) {
    Session s(host.db);
    const Reply deleted = s.ask("DELETE FROM temp.rembed_clients WHERE name = 'configured'");
    REQUIRE(!deleted.ok);
    CONTAINS(deleted.error, "REMBED_CONFIG");
    const Reply unregistered = s.ask("SELECT rembed_unregister('configured')");
    REQUIRE(unregistered.rows.empty() && unregistered.rc == SQLITE_ERROR);
    CONTAINS(s.value("SELECT rembed_last_error()"), "read-only");
    EQUAL(s.value(EMBED), "3072");
}

void a_session_may_shadow_them(const Host &host) {
    Session one(host.db), other(host.db);
    const std::string url = quote(host.fake.scenario("config-narrow", R"({"width":64})"));
    one.run("INSERT INTO temp.rembed_clients(name, format, url) VALUES ('configured', 'ollama', " + url + ")");
    EQUAL(one.value(EMBED), "256");
    EQUAL(other.value(EMBED), "3072");
}

void a_file_that_cannot_be_read_is_named(const Host &host) {
    Session s(host.db);
    const Reply reply = s.ask(EMBED);
    REQUIRE(reply.rows.empty() && reply.rc == SQLITE_ERROR);
    CONTAINS(s.value("SELECT rembed_last_error()"), std::string("REMBED_CONFIG (") + std::getenv("REMBED_CONFIG"));
    // What the file cannot hold works all the same.
    s.value("SELECT rembed_register('here', 'format', 'ollama', 'url', " + quote(host.fake.scenario("here")) + ")");
    EQUAL(s.value("SELECT length(rembed('here', 'hello'))"), "3072");
}

}  // namespace

std::vector<Case> config_cases() {
    const char *path = std::getenv("REMBED_CONFIG");
    if (path == nullptr) return {};
    if (!readable()) return {{"a REMBED_CONFIG that cannot be read is named", a_file_that_cannot_be_read_is_named}};
    return {
        {"every session has the clients of REMBED_CONFIG", every_session_has_them},
        {"the clients of REMBED_CONFIG are read-only", they_are_read_only},
        {"a session may shadow a client of REMBED_CONFIG", a_session_may_shadow_them},
    };
}
