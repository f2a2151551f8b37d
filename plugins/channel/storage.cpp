#include "storage.hpp"

#include <cstdlib>
#include <new>
#include <system_error>
#include <thread>

namespace ep::channel {

namespace {

// From here on giving memory back takes the system longer than a scheduler has.
constexpr size_t large = 4 * 1024 * 1024;

void destroy_storage(ErlNifEnv *, void *resource) {
    auto *storage = static_cast<Storage *>(resource);
    if (storage->capacity >= large) {
        try {
            std::thread{[data = storage->data] { std::free(data); }}.detach();
            return;
        } catch (const std::system_error &) { // no thread is to be had
        }
    }
    std::free(storage->data);
}

const ep_resource_type storage_type{
    sizeof(ep_resource_type), sizeof(Storage), "buffer storage", nullptr, destroy_storage, nullptr, nullptr,
};

} // namespace

// Of malloc, which says no where enif_alloc may, and whose large blocks take no memory before they are written to.
StorageRef StorageRef::make(size_t capacity) {
    auto *data = static_cast<unsigned char *>(std::malloc(capacity));
    if (data == nullptr) {
        throw std::bad_alloc{};
    }
    auto *storage = static_cast<Storage *>(host().resource_new(&storage_type));
    storage->data = data;
    storage->capacity = capacity;
    new (&storage->views) std::atomic<uint32_t>{0};
    return StorageRef{storage};
}

ERL_NIF_TERM StorageRef::bytes(ErlNifEnv *env, size_t from, size_t size) const {
    ERL_NIF_TERM empty;
    if (size == 0) {
        enif_make_new_binary(env, 0, &empty);
        return empty;
    }
    return enif_make_resource_binary(env, storage_, storage_->data + from, size);
}

void *StorageRef::begin_view() const noexcept {
    enif_keep_resource(storage_);
    storage_->views.fetch_add(1);
    return storage_;
}

// Not by the destructor of a resource: the VM calls those some time later, and who has let go of a view can write.
void StorageRef::end_view(void *view) noexcept {
    auto *storage = static_cast<Storage *>(view);
    storage->views.fetch_sub(1);
    enif_release_resource(storage);
}

} // namespace ep::channel
