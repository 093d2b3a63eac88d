// What a user of the server does, from the first client to the answer of a search.

#include <cmath>
#include <cstring>

#include "check.h"
#include "session.h"

namespace {

const std::vector<std::string> DOCUMENTS = {
    "The city council approved a new bicycle lane along the river",
    "A volcano on the island erupted and flights were cancelled",
    "Central bank raises interest rates for the third time this year",
    "Researchers teach a small robot to fold laundry",
    "The river flooded the lower town after a week of rain",
    "Football club signs a young goalkeeper from Norway",
    "New telescope finds water vapour around a distant planet",
    "Bakery on the main square celebrates its hundredth birthday",
};

std::string insert_client(const Host &host, const std::string &name) {
    return "INSERT INTO temp.rembed_clients(name, format, model, url) VALUES (" + quote(name) +
           ", 'ollama', 'nomic-embed-text', " + quote(host.fake.scenario(name)) + ")";
}

std::vector<float> vector_of(const std::string &bytes) {
    std::vector<float> vector(bytes.size() / sizeof(float));
    std::memcpy(vector.data(), bytes.data(), vector.size() * sizeof(float));
    return vector;
}

double dot(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
    return sum;
}

// Each form of the README, then UPDATE, DELETE and what is read back.
void every_way_to_name_a_client(const Host &host) {
    Session s(host.db);
    const std::string base = host.fake.scenario("ways", R"({"key":"sk-test"})");
    const std::string url = quote(base + "/v1"), cohere = quote(base + "/v2");
    s.run("INSERT INTO temp.rembed_clients(name, format, model, key, url) VALUES "
          "('columns', 'openai', 'text-embedding-3-small', 'sk-test', " + url + ")");
    s.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('text-embedding-3-small', 'openai')");
    s.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('pairs', rembed_client_options("
          "'format','openai','model','m','key','sk-test','url'," + url + "))");
    s.run("INSERT INTO temp.rembed_clients(name, options) VALUES ('json', json_object("
          "'format','cohere','model','embed-v4.0','key','sk-test','url'," + cohere + "))");
    EQUAL(s.value("SELECT rembed_register('call', 'format', 'openai', 'key', 'sk-test', 'url', " + url + ")"), "call");
    for (const char *name : {"columns", "pairs", "json", "call"}) {
        EQUAL(s.value(std::string("SELECT length(rembed('") + name + "', 'hello'))"), "3072");
    }
    EQUAL(s.value("SELECT model FROM temp.rembed_clients WHERE name = 'text-embedding-3-small'"),
          "text-embedding-3-small");
    EQUAL(s.value("SELECT group_concat(key) FROM temp.rembed_clients WHERE name IN ('columns', 'pairs')"), "***,***");
    s.run("UPDATE temp.rembed_clients SET model = 'text-embedding-3-large' WHERE name = 'columns'");
    EQUAL(s.value("SELECT model FROM temp.rembed_clients WHERE name = 'columns'"), "text-embedding-3-large");
    EQUAL(s.value("SELECT length(rembed('columns', 'hello'))"), "3072");
    s.run("DELETE FROM temp.rembed_clients WHERE name = 'columns'");
    EQUAL(s.value("SELECT count(*) FROM temp.rembed_clients WHERE name = 'columns'"), "0");
    const Reply again = s.ask("INSERT INTO temp.rembed_clients(name, options) VALUES ('json', 'openai')");
    REQUIRE(!again.ok);
    CONTAINS(again.error, "UNIQUE constraint failed");
    s.run("INSERT OR REPLACE INTO temp.rembed_clients(name, options) VALUES ('json', 'openai')");
}

void a_vector_is_floats(const Host &host) {
    Session s(host.db);
    s.run(insert_client(host, "floats"));
    EQUAL(s.value("SELECT typeof(rembed('floats', 'a text'))"), "blob");
    EQUAL(s.value("SELECT length(rembed('floats', 'a text'))"), std::to_string(768 * sizeof(float)));
    EQUAL(s.value("SELECT subtype(rembed('floats', 'a text'))"), "223");
    EQUAL(s.value("SELECT vec_type(rembed('floats', 'a text'))"), "float32");
    EQUAL(s.value("SELECT vec_length(rembed('floats', 'a text'))"), "768");
    EQUAL(s.value("SELECT json_array_length(vec_to_json(rembed('floats', 'a text')))"), "768");
    const Reply null = s.ask("SELECT rembed('floats', NULL)");
    REQUIRE(null.rows.size() == 1 && !null.rows[0][0]);
    EQUAL(s.value("SELECT vec_distance_cosine(rembed('floats', 'a text'), rembed('floats', 'a text')) < 1e-6"), "1");
}

// The server sends BLOBs as the text of a result: all bytes must survive that.
void the_bytes_reach_the_client(const Host &host) {
    Session s(host.db);
    s.run(insert_client(host, "bytes"));
    const std::string bytes = s.value("SELECT rembed('bytes', 'zero bytes and all')");
    EQUAL(bytes.size(), 768 * sizeof(float));
    std::string hex;
    for (const char c : bytes) {
        char two[3];
        std::snprintf(two, sizeof two, "%02X", static_cast<unsigned char>(c));
        hex += two;
    }
    EQUAL(s.value("SELECT hex(rembed('bytes', 'zero bytes and all'))"), hex);
    const std::vector<float> vector = vector_of(bytes);
    REQUIRE(std::fabs(dot(vector, vector) - 1.0) < 1e-4);
    const std::vector<float> near = vector_of(s.value("SELECT rembed('bytes', 'zero bytes and all of it')"));
    const std::vector<float> far = vector_of(s.value("SELECT rembed('bytes', 'goalkeeper')"));
    REQUIRE(dot(vector, near) > dot(vector, far) + 0.2);
}

void embed_store_and_search(const Host &host) {
    Session s(host.db);
    s.run(insert_client(host, "pipeline"));
    s.run("DROP TABLE IF EXISTS docs");
    s.run("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)");
    for (const std::string &text : DOCUMENTS) s.run("INSERT INTO docs(body) VALUES (" + quote(text) + ")");
    s.run("CREATE VIRTUAL TABLE v USING vec0(embedding float[768])");
    const Reply inserted = s.ask("INSERT INTO v(rowid, embedding) SELECT id, rembed('pipeline', body) FROM docs");
    REQUIRE(inserted.ok);
    EQUAL(host.fake.count("pipeline", "texts"), static_cast<long>(DOCUMENTS.size()));

    const auto search = [&](const std::string &text) {
        const Reply found = s.ask("SELECT body, distance FROM (SELECT rowid AS id, distance FROM v WHERE embedding MATCH "
                                  "rembed('pipeline', " + quote(text) + ") AND k = 3) JOIN docs USING (id) "
                                  "ORDER BY distance");
        EQUAL(found.rows.size(), size_t{3});
        return found.rows;
    };
    // Each text finds itself at distance nought, and nothing else there.
    for (const std::string &text : DOCUMENTS) {
        const auto rows = search(text);
        EQUAL(*rows[0][0], text);
        REQUIRE(std::stod(*rows[0][1]) < 1e-3 && std::stod(*rows[1][1]) > 0.1);
    }
    EQUAL(*search("the island's volcano has erupted, flights cancelled")[0][0], DOCUMENTS[1]);
    EQUAL(*search("central banks raise interest rates again")[0][0], DOCUMENTS[2]);
    EQUAL(*search("A new telescope found water vapour on a planet")[0][0], DOCUMENTS[6]);
    // The query's vector is made once a statement, not once a row.
    const long before = host.fake.count("pipeline", "requests");
    EQUAL(s.value("SELECT count(*) FROM docs JOIN v ON v.rowid = docs.id WHERE "
                  "vec_distance_cosine(v.embedding, rembed('pipeline', 'river')) < 2"),
          std::to_string(DOCUMENTS.size()));
    EQUAL(host.fake.count("pipeline", "requests") - before, 1);
}

void a_trigger_embeds_what_is_inserted(const Host &host) {
    Session s(host.db);
    s.value("SELECT rembed_register('trigger', 'format', 'ollama', 'scope', 'process', 'url', " +
            quote(host.fake.scenario("trigger")) + ")");
    s.run("CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT)");
    s.run("CREATE VIRTUAL TABLE notes_v USING vec0(embedding float[768])");
    s.run("CREATE TRIGGER notes_embed AFTER INSERT ON notes BEGIN "
          "INSERT INTO notes_v(rowid, embedding) VALUES (NEW.id, rembed('trigger', NEW.body)); END");
    Session other(host.db);
    other.run("INSERT INTO notes(body) VALUES ('buy bread'), ('call the dentist'), ('water the plants')");
    EQUAL(s.value("SELECT body FROM notes JOIN (SELECT rowid AS id FROM notes_v WHERE embedding MATCH "
                  "rembed('trigger', 'call a dentist') AND k = 1) USING (id)"),
          "call the dentist");
    EQUAL(s.value("SELECT rembed_unregister('trigger')"), "1");
    s.run("DROP TRIGGER notes_embed");
}

}  // namespace

std::vector<Case> pipeline_cases() {
    return {
        {"every way to name a client", every_way_to_name_a_client},
        {"a vector is a BLOB of floats that sqlite-vec knows", a_vector_is_floats},
        {"the bytes of a vector reach the client", the_bytes_reach_the_client},
        {"embed, store in vec0, search: the right text is first", embed_store_and_search},
        {"a trigger embeds what another session inserts", a_trigger_embeds_what_is_inserted},
    };
}
