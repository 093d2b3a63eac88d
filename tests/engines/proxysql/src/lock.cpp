// Sessions that are strangers': by rembed_lock() of the header, or by REMBED_LOCK=1, with which run.sh starts the host
// for the group 'locked'. The clients of REMBED_CONFIG are then all there is.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "check.h"
#include "rembed.h"
#include "session.h"

namespace {

// A server of the stranger's, to which nobody may connect.
class Listener {
public:
    Listener() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(socket_, reinterpret_cast<sockaddr *>(&address), size) == 0 && listen(socket_, 8) == 0);
        getsockname(socket_, reinterpret_cast<sockaddr *>(&address), &size);
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    }
    ~Listener() { close(socket_); }

    const std::string &url() const { return url_; }
    bool was_called() const {
        pollfd ready{socket_, POLLIN, 0};
        return poll(&ready, 1, 0) > 0;
    }

private:
    int socket_;
    std::string url_;
};

// What two requests of a stranger's were enough for, in each of its forms.
void attack(const Host &host, Session &s, const std::string &by) {
    const Listener listener;
    const std::string file = host.folder + "/secret";
    std::ofstream(file) << "the-hosts-own-secret\n";
    for (const std::string &key : {std::string("env:HOST_SECRET"), "file:" + file}) {
        const std::string to = quote(listener.url()) + ", 'key', " + quote(key);
        const Reply refused =
            s.ask("SELECT rembed_register('e', 'format', 'openai', 'url', " + to + ", 'scope', 'process')");
        REQUIRE(refused.rows.empty() && refused.rc == SQLITE_ERROR);
        CONTAINS(s.value("SELECT rembed_last_error()"), "locked by " + by + ": no client can be registered");
        for (const std::string &sql :
             {"INSERT INTO temp.rembed_clients(name, format, url, key) VALUES ('e', 'openai', " +
                  quote(listener.url()) + ", " + quote(key) + ")",
              "UPDATE temp.rembed_clients SET key = " + quote(key) + ", url = " + quote(listener.url()),
              std::string("DELETE FROM temp.rembed_clients")}) {
            const Reply changed = s.ask(sql);
            REQUIRE(!changed.ok);
            CONTAINS(changed.error, "locked by " + by);
        }
        const Reply embedded = s.ask("SELECT rembed('e', 'x')");
        REQUIRE(embedded.rows.empty() && embedded.rc == SQLITE_ERROR);
        CONTAINS(s.value("SELECT rembed_last_error()"), "'e' was not registered");
        for (const char *sql : {"SELECT rembed_unregister('configured')", "SELECT rembed_cache_clear()"}) {
            REQUIRE(s.ask(sql).rc == SQLITE_ERROR);
            CONTAINS(s.value("SELECT rembed_last_error()"), "locked by " + by);
        }
    }
    REQUIRE(!listener.was_called());
}

void a_locked_session_keeps_its_clients(const Host &host) {
    Session s(host.db), other(host.db);
    const std::string url = quote(host.fake.scenario("locked"));
    other.value("SELECT rembed_register('configured', 'format', 'ollama', 'scope', 'process', 'url', " + url + ")");
    for (int i = 0; i < 2; ++i) EQUAL(s.with<int>([](sqlite3 *db) { return rembed_lock(db); }), SQLITE_OK);
    attack(host, s, "rembed_lock()");
    // A session that is not locked may change what others see, but not what this one has.
    const std::string narrow = quote(host.fake.scenario("lock-narrow", R"({"width":64})"));
    other.value("SELECT rembed_register('configured', 'format', 'ollama', 'scope', 'process', 'url', " + narrow + ")");
    other.value("SELECT rembed_register('late', 'format', 'ollama', 'scope', 'process', 'url', " + narrow + ")");
    EQUAL(s.value("SELECT length(rembed('configured', 'hello'))"), "3072");
    EQUAL(other.value("SELECT length(rembed('configured', 'hello'))"), "256");
    EQUAL(s.value("SELECT count(*) FROM temp.rembed_clients WHERE name = 'late'"), "0");
    for (const char *name : {"configured", "late"})
        other.value("SELECT rembed_unregister(" + quote(name) + ")");
    EQUAL(s.value("SELECT length(rembed('configured', 'hello again'))"), "3072");
}

void the_loadable_library_keeps_the_lock(const Host &host) {
    if (host.loadable == "-") return;
    Session s(host.db);
    EQUAL(s.with<int>([](sqlite3 *db) { return rembed_lock(db); }), SQLITE_OK);
    const std::string loadable = host.loadable;
    EQUAL(s.with<int>([loadable](sqlite3 *db) {
        sqlite3_enable_load_extension(db, 1);
        return sqlite3_load_extension(db, loadable.c_str(), nullptr, nullptr);
    }), SQLITE_OK);
    REQUIRE(s.ask("SELECT rembed_register('e', 'openai')").rc == SQLITE_ERROR);
    CONTAINS(s.value("SELECT rembed_debug()"), "Locked: by rembed_lock()");
}

void no_connection_is_misuse(const Host &) { EQUAL(rembed_lock(nullptr), SQLITE_MISUSE); }

void every_session_of_a_locked_process_is_locked(const Host &host) {
    Session one(host.db), other(host.db);
    for (Session *s : {&one, &other}) {
        attack(host, *s, "REMBED_LOCK");
        EQUAL(s->value("SELECT length(rembed('configured', 'hello'))"), "3072");
        EQUAL(s->value("SELECT group_concat(name) FROM temp.rembed_clients"), "configured,other");
        CONTAINS(s->value("SELECT rembed_debug()"), "Locked: by REMBED_LOCK");
    }
    EQUAL(one.with<int>([](sqlite3 *db) { return rembed_lock(db); }), SQLITE_OK);
}

}  // namespace

std::vector<Case> lock_cases() {
    return {
        {"a locked session keeps its clients, and a stranger gets nothing", a_locked_session_keeps_its_clients},
        {"the loadable library keeps the lock of the linked one", the_loadable_library_keeps_the_lock},
        {"rembed_lock() of no connection is misuse", no_connection_is_misuse},
    };
}

std::vector<Case> locked_process_cases() {
    return {{"REMBED_LOCK: a stranger in any session gets nothing", every_session_of_a_locked_process_is_locked}};
}
