// The fake provider as this host sees it: scenarios are put and read over HTTP.
#pragma once

#include <string>

class Fake {
public:
    // `url` is the first line that rembed-fake prints.
    explicit Fake(std::string url) : url_(std::move(url)) {}

    // Makes or resets a scenario; returns the base URL for a client's option `url`.
    std::string scenario(const std::string &name, const std::string &settings = "{}") const;

    // A number of the report of a scenario: connections, requests, texts, peak.
    long count(const std::string &scenario, const std::string &what) const;

private:
    std::string control(const std::string &method, const std::string &name, const std::string &body) const;

    std::string url_;
};
