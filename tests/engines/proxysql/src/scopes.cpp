// Who sees a client: the session, or every session of the server.

#include "check.h"
#include "session.h"

namespace {

std::string call(const Host &host, const std::string &name, const std::string &scope) {
    return "SELECT rembed_register(" + quote(name) + ", 'format', 'ollama', 'scope', " + quote(scope) + ", 'url', " +
           quote(host.fake.scenario(name)) + ")";
}

std::string embed(const std::string &name) { return "SELECT length(rembed(" + quote(name) + ", 'hello'))"; }

std::string seen(const std::string &name) {
    return "SELECT count(*) FROM temp.rembed_clients WHERE name = " + quote(name);
}

void a_client_of_the_process_is_everyones(const Host &host) {
    Session before(host.db);
    {
        Session registers(host.db);
        EQUAL(registers.value(call(host, "everyone", "process")), "everyone");
    }
    Session after(host.db);
    for (Session *s : {&before, &after}) {
        EQUAL(s->value(seen("everyone")), "1");
        EQUAL(s->value(embed("everyone")), "3072");
    }
    EQUAL(after.value("SELECT rembed_unregister('everyone')"), "1");
    EQUAL(before.value(seen("everyone")), "0");
}

void a_client_of_the_table_may_be_everyones_too(const Host &host) {
    Session one(host.db), other(host.db);
    one.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('row', rembed_client_options("
            "'format','ollama','scope','process','url'," + quote(host.fake.scenario("row")) + "))");
    EQUAL(other.value(embed("row")), "3072");
    other.run("DELETE FROM temp.rembed_clients WHERE name = 'row'");
    EQUAL(one.value(seen("row")), "0");
}

void a_client_of_the_session_is_its_own(const Host &host) {
    Session other(host.db);
    {
        Session own(host.db);
        own.value(call(host, "mine", "connection"));
        EQUAL(own.value(embed("mine")), "3072");
        EQUAL(other.value(seen("mine")), "0");
    }
    Session reconnected(host.db);
    EQUAL(reconnected.value(seen("mine")), "0");
}

void a_session_may_shadow_the_process(const Host &host) {
    Session one(host.db), other(host.db);
    one.value(call(host, "shadow", "process"));
    const std::string url = quote(host.fake.scenario("narrow", R"({"width":64})"));
    one.value("SELECT rembed_register('shadow', 'format', 'ollama', 'url', " + url + ")");
    EQUAL(one.value(embed("shadow")), "256");
    EQUAL(other.value(embed("shadow")), "3072");
    one.value("SELECT rembed_unregister('shadow')");
    EQUAL(one.value(embed("shadow")), "3072");
    one.value("SELECT rembed_unregister('shadow')");
}

// The table's INSERT is one of SQLite's: it waits for the write lock. The function takes none.
void registering_by_function_takes_no_lock(const Host &host) {
    Session writer(host.db), s(host.db);
    writer.run("BEGIN IMMEDIATE");
    const Reply registered = s.ask(call(host, "unlocked", "connection"));
    REQUIRE(registered.rc == SQLITE_DONE && registered.locked == 0);
    const Reply embedded = s.ask(embed("unlocked"));
    REQUIRE(embedded.rc == SQLITE_DONE && embedded.locked == 0 && *embedded.rows.at(0).at(0) == "3072");
    auto waits = s.send("INSERT INTO temp.rembed_clients(name, options) VALUES ('waits', 'openai')");
    REQUIRE(waits.wait_for(std::chrono::milliseconds(200)) == std::future_status::timeout);
    writer.run("COMMIT");
    const Reply inserted = waits.get();
    REQUIRE(inserted.ok && inserted.locked > 0);
    EQUAL(s.value(seen("waits")), "1");
}

}  // namespace

std::vector<Case> scope_cases() {
    return {
        {"a client of the process is seen by every session", a_client_of_the_process_is_everyones},
        {"a row of the table may be of the process", a_client_of_the_table_may_be_everyones_too},
        {"a client of a session goes with it", a_client_of_the_session_is_its_own},
        {"a session may shadow a client of the process", a_session_may_shadow_the_process},
        {"rembed_register() takes no lock", registering_by_function_takes_no_lock},
    };
}
