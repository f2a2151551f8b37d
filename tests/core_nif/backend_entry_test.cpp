// The entry of a real backend of this build, asked by hosts and for tables of all versions. Python is opened, since the
// backend needs its symbols, and not started. EP_TEST_BACKEND and EP_TEST_LIBPYTHON name the two. Hidden, since a VM
// can have one Python: every backend has its own run.
#include "guarded_page.hpp"

#include <erlang_python/backend.h>

#include "catch.hpp"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <vector>

namespace {

constexpr unsigned char canary = 0xa5;

void *open_library(const char *variable, int flags) {
    const char *path = std::getenv(variable);
    REQUIRE(path != nullptr);
    void *library = dlopen(path, flags);
    INFO((library == nullptr ? dlerror() : ""));
    REQUIRE(library != nullptr);
    return library;
}

ep_backend_entry entry() {
    open_library("EP_TEST_LIBPYTHON", RTLD_NOW | RTLD_GLOBAL);
    void *backend = open_library("EP_TEST_BACKEND", RTLD_NOW | RTLD_LOCAL);
    auto function = reinterpret_cast<ep_backend_entry>(dlsym(backend, EP_BACKEND_ENTRY_NAME));
    REQUIRE(function != nullptr);
    return function;
}

ep_header header(int major, int minor, size_t size) {
    return {static_cast<uint16_t>(major), static_cast<uint16_t>(minor), static_cast<uint32_t>(size)};
}

ep_header current(size_t size) {
    return header(EP_ABI_MAJOR, EP_ABI_MINOR, size);
}

// All a backend may use before it is started. Lives as long as the VM, as the core's does.
const ep_host &whole_host(int minor = EP_ABI_MINOR) {
    auto *host = new ep_host{};
    host->header = header(EP_ABI_MAJOR, minor, sizeof *host);
    host->env_take = enif_alloc_env;
    host->env_give = enif_free_env;
    return *host;
}

// A table with room behind it, where nothing may be written.
class Table {
public:
    explicit Table(const ep_header &asked) : bytes_(sizeof(ep_backend) + 512, canary) {
        std::memcpy(bytes_.data(), &asked, sizeof asked);
    }
    ep_status ask(const ep_host &host) { return entry()(&host, get(), &error_); }

    ep_backend *get() { return reinterpret_cast<ep_backend *>(bytes_.data()); }
    const ep_header &header() { return get()->header; }
    std::string error() const { return error_.text; }
    bool untouched_from(size_t offset) const {
        for (size_t i = offset; i < bytes_.size(); ++i) {
            if (bytes_[i] != canary) {
                return false;
            }
        }
        return true;
    }

private:
    std::vector<unsigned char> bytes_;
    ep_error error_{};
};

void check_refused(Table &table, const ep_host &host) {
    CHECK(table.ask(host) == EP_TOO_NEW);
    // Its own version, which the core's error names beside the core's.
    CHECK(table.header().major == EP_ABI_MAJOR);
    CHECK(table.header().minor == EP_ABI_MINOR);
    CHECK(table.untouched_from(sizeof(ep_header)));
    CHECK_FALSE(table.error().empty());
}

} // namespace

TEST_CASE("a backend fills in all functions of its own version", "[.][entry]") {
    Table table{current(sizeof(ep_backend))};
    REQUIRE(table.ask(whole_host()) == EP_OK);
    const ep_backend &backend = *table.get();
    CHECK(backend.header.major == EP_ABI_MAJOR);
    CHECK(backend.header.minor == EP_ABI_MINOR);
    CHECK(backend.header.size == sizeof(ep_backend));
    CHECK(backend.reserved == 0);
    CHECK(backend.start != nullptr);
    CHECK(backend.open != nullptr);
    CHECK(backend.close != nullptr);
    CHECK(backend.attach != nullptr);
    CHECK(backend.detach != nullptr);
    CHECK(backend.serve != nullptr);
    CHECK(backend.release_slot != nullptr);
    CHECK(backend.interrupt != nullptr);
    CHECK(table.untouched_from(sizeof(ep_backend)));
}

TEST_CASE("a newer host of the same major version will do", "[.][entry]") {
    Table table{current(sizeof(ep_backend))};
    CHECK(table.ask(whole_host(EP_ABI_MINOR + 1)) == EP_OK);
    CHECK(table.header().minor == EP_ABI_MINOR);
}

TEST_CASE("a table is filled as far as it was asked for, and not beyond its own end", "[.][entry]") {
    for (size_t size :
         {sizeof(ep_header), offsetof(ep_backend, start), offsetof(ep_backend, open), offsetof(ep_backend, interrupt),
          sizeof(ep_backend), sizeof(ep_backend) + 8, sizeof(ep_backend) + 256}) {
        INFO(size << " bytes");
        Table table{current(size)};
        REQUIRE(table.ask(whole_host()) == EP_OK);
        const size_t filled = std::min(size, sizeof(ep_backend));
        CHECK(table.header().size == filled);
        CHECK(table.untouched_from(filled));
        CHECK((filled < offsetof(ep_backend, open) || table.get()->start != nullptr));
    }
}

TEST_CASE("a core that asks for another version is refused", "[.][entry]") {
    for (const ep_header &asked :
         {header(EP_ABI_MAJOR, EP_ABI_MINOR + 1, sizeof(ep_backend)),
          header(EP_ABI_MAJOR, EP_ABI_MINOR + 1, sizeof(ep_backend) + 256),
          header(EP_ABI_MAJOR, 0xffff, sizeof(ep_backend)), header(EP_ABI_MAJOR + 1, 0, sizeof(ep_backend)),
          header(EP_ABI_MAJOR + 1, EP_ABI_MINOR, sizeof(ep_backend)),
          header(EP_ABI_MAJOR - 1, EP_ABI_MINOR, sizeof(ep_backend)), header(EP_ABI_MAJOR + 1, 0, sizeof(ep_header))}) {
        INFO("asked for " << asked.major << "." << asked.minor << ", " << asked.size << " bytes");
        Table table{asked};
        check_refused(table, whole_host());
    }
}

TEST_CASE("a host of another version is refused, and nothing but its header is looked at", "[.][entry]") {
    std::vector<ep_header> headers{
        header(EP_ABI_MAJOR + 1, 0, sizeof(ep_host)), header(EP_ABI_MAJOR + 1, EP_ABI_MINOR, sizeof(ep_host)),
        header(EP_ABI_MAJOR - 1, EP_ABI_MINOR, sizeof(ep_host)), header(EP_ABI_MAJOR - 1, 0xffff, sizeof(ep_host))};
    if (EP_ABI_MINOR > 0) {
        headers.push_back(header(EP_ABI_MAJOR, EP_ABI_MINOR - 1, sizeof(ep_host)));
        headers.push_back(header(EP_ABI_MAJOR, 0, sizeof(ep_host)));
    }
    for (const ep_header &of_host : headers) {
        INFO("the host is " << of_host.major << "." << of_host.minor);
        GuardedPage page;
        Table table{current(sizeof(ep_backend))};
        check_refused(table, *static_cast<const ep_host *>(page.last(of_host)));
    }
}
