// The names of the functions registered in Erlang, so that Python can answer hasattr() without asking a process.
#pragma once

#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_set>

namespace ep {

// Any thread.
class FunctionNames {
public:
    void add(std::string name) {
        std::unique_lock lock{mutex_};
        names_.insert(std::move(name));
    }
    void remove(const std::string &name) {
        std::unique_lock lock{mutex_};
        names_.erase(name);
    }
    void clear() {
        std::unique_lock lock{mutex_};
        names_.clear();
    }
    bool contains(std::string_view name) const {
        std::shared_lock lock{mutex_};
        return names_.count(std::string{name}) != 0;
    }

private:
    mutable std::shared_mutex mutex_;
    std::unordered_set<std::string> names_; // guarded by mutex_
};

} // namespace ep
