#include "fake.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

std::string Fake::scenario(const std::string &name, const std::string &settings) const {
    control("PUT", name, settings);
    return url_ + "/s/" + name;
}

long Fake::count(const std::string &scenario, const std::string &what) const {
    const std::string report = control("GET", scenario, "");
    const std::string key = "\"" + what + "\":";
    // The last: entries of the log before it have some of the same names.
    const size_t at = report.rfind(key);
    if (at == std::string::npos) throw std::runtime_error("no " + what + " in the report of " + scenario);
    return std::strtol(report.c_str() + at + key.size(), nullptr, 10);
}

std::string Fake::control(const std::string &method, const std::string &name, const std::string &body) const {
    const std::string prefix = "http://127.0.0.1:";
    if (url_.rfind(prefix, 0) != 0) throw std::runtime_error("not the fake's address: " + url_);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(url_.substr(prefix.size()))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
        throw std::runtime_error("the fake does not answer at " + url_);
    }
    const std::string request = method + " /_/" + name + " HTTP/1.1\r\nhost: fake\r\nconnection: close\r\ncontent-length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    std::string reply;
    char buffer[4096];
    ssize_t n = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    while (n > 0 && (n = recv(fd, buffer, sizeof buffer, 0)) > 0) reply.append(buffer, static_cast<size_t>(n));
    close(fd);
    if (reply.rfind("HTTP/1.1 200", 0) != 0) throw std::runtime_error(method + " /_/" + name + ": " + reply);
    return reply;
}
