// libisofs.h counts on these from whoever includes it, and on being asked for libburn's struct.
// clang-format off
#include <stdint.h>
#include <sys/types.h>
#define LIBISOFS_WITHOUT_LIBBURN
#include <libisofs/libisofs.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "plugins/libvirt/seed_image.hpp"

namespace safe::libvirt {
namespace {

using base::Result;

constexpr int block = 2048;  // ECMA-119, 6.1.2
constexpr mode_t for_root = 0400;

/// No clock goes into an image: 1980-01-01, where a FAT's time begins, too. The text is that of its descriptor.
constexpr time_t beginning = 315532800;
constexpr std::array<char, 17> beginning_text{"1980010100000000"};

struct Free {
    void operator()(IsoImage* image) const { iso_image_unref(image); }
    void operator()(IsoWriteOpts* options) const { iso_write_opts_free(options); }
    void operator()(burn_source* source) const {
        source->free_data(source);
        std::free(source);  // NOLINT: libisofs allocates it with malloc and leaves it to whoever burns
    }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

base::Error failed(int status) {
    return {.attempt = "make the file system of",
            .object = "a cloud-init seed",
            .cause = iso_error_to_msg(status),
            .advice = "this is a defect of this build or of libisofs; please report it"};
}

/// Its settings are those of the process, and it says nowhere that images may be made side by side.
std::unique_lock<std::mutex> library() {
    static std::mutex mutex;
    std::unique_lock lock(mutex);
    static const int ready = [] {
        const int status = iso_init();
        iso_set_msgs_severities(const_cast<char*>("NEVER"), const_cast<char*>("NEVER"), const_cast<char*>(""));
        return status;
    }();
    static_cast<void>(ready);
    return lock;
}

struct FreeBytes {
    void operator()(unsigned char* bytes) const noexcept { std::free(bytes); }  // NOLINT
};

int add_file(IsoImage* image, const std::string& name, const std::string& content) {
    std::unique_ptr<unsigned char, FreeBytes> copy(
        static_cast<unsigned char*>(std::malloc(std::max<std::size_t>(content.size(), 1))));  // NOLINT
    if (!copy) return static_cast<int>(ISO_OUT_OF_MEM);
    std::ranges::copy(content, copy.get());
    IsoStream* stream = nullptr;
    if (const int status = iso_memory_stream_new(copy.get(), content.size(), &stream); status < 0) return status;
    static_cast<void>(copy.release());  // the stream frees what it was given
    IsoFile* file = nullptr;            // NOLINT(clang-analyzer-unix.Malloc): see above
    const int status = iso_tree_add_new_file(iso_image_get_root(image), name.c_str(), stream, &file);
    if (status < 0) iso_stream_unref(stream);
    return status;
}

int fill_options(IsoWriteOpts* options) {
    std::array<char, 17> time = beginning_text;
    int status = ISO_SUCCESS;
    const auto then = [&](int next) { status = status < 0 ? status : next; };
    then(iso_write_opts_set_iso_level(options, 3));
    then(iso_write_opts_set_rockridge(options, 1));
    then(iso_write_opts_set_always_gmt(options, 1));
    then(iso_write_opts_set_replace_timestamps(options, 2));
    then(iso_write_opts_set_default_timestamp(options, beginning));
    then(iso_write_opts_set_pvd_times(options, beginning, beginning, 0, 0, time.data()));
    then(iso_write_opts_set_replace_mode(options, 2, 2, 2, 2));
    then(iso_write_opts_set_default_dir_mode(options, 0500));
    then(iso_write_opts_set_default_file_mode(options, for_root));
    then(iso_write_opts_set_default_uid(options, 0));
    then(iso_write_opts_set_default_gid(options, 0));
    return status;
}

Result<std::string> drain(burn_source* source) {
    std::string bytes;
    std::array<unsigned char, block> buffer{};
    for (;;) {
        // Which of the two there is depends on the version of the struct.
        const int got = source->read != nullptr ? source->read(source, buffer.data(), block)
                                                : source->read_xt(source, buffer.data(), block);
        if (got < 0) {
            if (source->read == nullptr) source->cancel(source);  // ends the thread that writes
            return base::fail(failed(static_cast<int>(ISO_ERROR)));
        }
        if (got == 0) return bytes;
        bytes.append(reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(got));
    }
}

}  // namespace

Result<std::string> make_seed_image(const std::map<std::string, std::string>& files, const std::string& owner) {
    const std::unique_lock<std::mutex> alone = library();
    IsoImage* made = nullptr;
    if (const int status = iso_image_new(seed_label, &made); status < 0) return base::fail(failed(status));
    const Owned<IsoImage> image(made);
    iso_image_set_application_id(image.get(), owner.c_str());
    for (const auto& [name, content] : files)
        if (const int status = add_file(image.get(), name, content); status < 0) return base::fail(failed(status));
    IsoWriteOpts* chosen = nullptr;
    if (const int status = iso_write_opts_new(&chosen, 0); status < 0) return base::fail(failed(status));
    const Owned<IsoWriteOpts> options(chosen);
    if (const int status = fill_options(options.get()); status < 0) return base::fail(failed(status));
    burn_source* begun = nullptr;
    if (const int status = iso_image_create_burn_source(image.get(), options.get(), &begun); status < 0)
        return base::fail(failed(status));
    const Owned<burn_source> source(begun);
    return drain(source.get());
}

}  // namespace safe::libvirt
