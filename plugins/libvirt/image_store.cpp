#include "plugins/libvirt/image_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "plugins/libvirt/durable_files.hpp"
#include "reconciler/base/digest.hpp"
#include "reconciler/base/file_descriptor.hpp"

namespace safe::libvirt {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::FileDescriptor;
using base::Result;
using nlohmann::json;

constexpr std::size_t chunk = std::size_t{1} << 20;

Stamp stamp_of(const struct stat& status) {
    return {static_cast<std::uint64_t>(status.st_size),
            std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::optional<Stamp> stamp_of(const fs::path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return stamp_of(status);
}

json to_json(const Stamp& stamp) { return {{"bytes", stamp.bytes}, {"modified", stamp.modified}}; }
Stamp parse_stamp(const json& value) { return {value.at("bytes"), value.at("modified")}; }

std::string to_record(const Import& import) {
    return json{{"source", import.source},
                {"sha256", import.sha256},
                {"pinned", import.pinned},
                {"source-stamp", to_json(import.source_stamp)},
                {"copy-stamp", to_json(import.copy_stamp)}}
               .dump(2) +
           "\n";
}

Result<Import> parse_record(const std::string& text, const fs::path& path) {
    try {
        const json record = json::parse(text);
        return Import{.source = record.at("source"),
                      .sha256 = record.at("sha256"),
                      .pinned = record.at("pinned"),
                      .source_stamp = parse_stamp(record.at("source-stamp")),
                      .copy_stamp = parse_stamp(record.at("copy-stamp"))};
    } catch (const json::exception& error) {
        return base::fail({.attempt = "read",
                           .object = path.string(),
                           .cause = error.what(),
                           .advice = "somebody wrote to it; remove it, and the image is imported again"});
    }
}

struct Source {
    FileDescriptor file;
    Stamp stamp;
};

Result<Source> open_source(const fs::path& path) {
    Source source{FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), {}};
    struct stat status{};
    if (!source.file || ::fstat(source.file.get(), &status) != 0) {
        Error error = file_error("read the image", path, errno);
        if (error.advice.empty()) error.advice = "put the file there, or correct its path in the spec";
        return base::fail(std::move(error));
    }
    if (!S_ISREG(status.st_mode))
        return base::fail({.attempt = "read the image",
                           .object = path.string(),
                           .cause = "it is no regular file",
                           .advice = "name an image file in the spec"});
    source.stamp = stamp_of(status);
    return source;
}

/// A copy on its way in. Whatever ends it early takes the file with it; a kill leaves it to the next import.
class Incoming {
 public:
    explicit Incoming(fs::path path) : path_(std::move(path)) {}
    Incoming(const Incoming&) = delete;
    Incoming& operator=(const Incoming&) = delete;
    Incoming(Incoming&&) = delete;
    Incoming& operator=(Incoming&&) = delete;
    ~Incoming() {
        if (file_ && !kept_) ::unlink(path_.c_str());
    }

    Result<void> open() {
        if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return base::fail(file_error("remove", path_, errno));
        file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!file_) return base::fail(file_error("write", path_, errno));
        return {};
    }

    /// The digest of what was copied.
    Result<std::string> fill(const Source& source, const fs::path& from, const driver::Context& context) {
        base::Sha256 hash;
        std::vector<std::byte> buffer(chunk);
        std::uint64_t done = 0;
        for (std::uint64_t said = 0;;) {
            if (context.stop.stop_requested())
                return base::fail({.attempt = "import",
                                   .object = from.string(),
                                   .cause = "interrupted",
                                   .advice = "apply again; it begins anew",
                                   .kind = Error::Kind::interrupted});
            const ssize_t got = ::read(source.file.get(), buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return base::fail(file_error("read", from, errno));
            if (got == 0) return hash.finish_hex();
            const std::span part(buffer.data(), static_cast<std::size_t>(got));
            hash.update(part);
            if (Result<void> written = write(part); !written) return base::fail(written.error());
            done += part.size();
            const std::uint64_t percent = done * 100 / std::max<std::uint64_t>(source.stamp.bytes, 1);
            if (percent < said + 10) continue;
            said = percent;
            context.say(fmt::format("{}: {} % copied", from.string(), percent));
        }
    }

    /// Read-only from here on, and on disk.
    Result<Stamp> seal(const fs::path& place) {
        if (::fchmod(file_.get(), 0400) != 0) return base::fail(file_error("protect", path_, errno));
        if (Result<void> flushed = flush(file_.get(), path_); !flushed) return base::fail(flushed.error());
        struct stat status{};
        if (::fstat(file_.get(), &status) != 0) return base::fail(file_error("look at", path_, errno));
        if (Result<void> moved = move_into_place(path_, place); !moved) return base::fail(moved.error());
        kept_ = true;
        return stamp_of(status);
    }

 private:
    [[nodiscard]] Result<void> write(std::span<const std::byte> data) const {
        while (!data.empty()) {
            const ssize_t written = ::write(file_.get(), data.data(), data.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return base::fail(file_error("write", path_, errno));
            data = data.subspan(static_cast<std::size_t>(written));
        }
        return {};
    }

    fs::path path_;
    FileDescriptor file_;
    bool kept_ = false;
};

}  // namespace

Result<std::vector<model::ResourceId>> ImageStore::list() const {
    std::vector<model::ResourceId> ids;
    std::error_code error;
    const fs::path directory = layout_.images();
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
        if (auto decoded = decode_path(it->path().filename().string()))
            ids.push_back({model::Kind::image, std::move(*decoded)});
    if (error && error != std::errc::no_such_file_or_directory)
        return base::fail(file_error("list the images in", directory, error.value()));
    std::ranges::sort(ids);
    return ids;
}

Result<std::optional<ImageSeen>> ImageStore::look(const model::ResourceId& id) const {
    const fs::path path = layout_.record(id);
    const Result<std::optional<std::string>> read = read_small_file(path);
    if (!read) return base::fail(read.error());
    const std::optional<std::string>& text = *read;
    if (!text) return std::nullopt;
    Result<Import> import = parse_record(*text, path);
    if (!import) return base::fail(import.error());
    const std::optional<fs::path> current = read_link(layout_.current(id));
    const std::optional<Stamp> copy = stamp_of(layout_.current(id));
    // The record is written last: without what it speaks of, the import was cut short or somebody took the copy away.
    if (!current || current->string() != import->sha256 || !copy) return std::nullopt;
    const std::optional<Stamp> source = stamp_of(import->source);
    return ImageSeen{.import = *import,
                     .source_changed = source && *source != import->source_stamp,
                     .copy_changed = *copy != import->copy_stamp};
}

Result<void> ImageStore::check_source(const fs::path& source) {
    const Result<Source> opened = open_source(source);
    return opened ? Result<void>{} : base::fail(opened.error());
}

Result<void> ImageStore::import(const model::ResourceId& id, const fs::path& source, const std::string& sha256,
                                const driver::Context& context) const {
    const std::optional<ImageSeen> seen = look(id).value_or(std::nullopt);
    if (seen && !seen->copy_changed && !sha256.empty() && seen->import.sha256 == sha256) {
        Import same = seen->import;  // only what is asked of it has changed
        same.pinned = true;
        same.source = source.string();
        return commit(id, same);
    }
    const fs::path directory = layout_.image(id);
    if (Result<void> made = make_passable(directory, layout_.state_dir()); !made) return made;
    const Result<Source> opened = open_source(source);
    if (!opened) return base::fail(opened.error());
    Incoming incoming(directory / ".incoming");
    if (Result<void> begun = incoming.open(); !begun) return begun;
    const Result<std::string> digest = incoming.fill(*opened, source, context);
    if (!digest) return base::fail(digest.error());
    if (!sha256.empty() && *digest != sha256)
        return base::fail(
            {.attempt = "import",
             .object = source.string(),
             .cause = fmt::format("its SHA-256 is {}, but the spec says {}", *digest, sha256),
             .advice = "get the right file, or correct sha256 in the spec if this file is the right one"});
    if (stamp_of(source) != opened->stamp)
        return base::fail({.attempt = "import",
                           .object = source.string(),
                           .cause = "it changed while it was copied",
                           .advice = "wait until it is complete and apply again"});
    const Result<Stamp> sealed = incoming.seal(directory / *digest);
    if (!sealed) return base::fail(sealed.error());
    return commit(id, {.source = source.string(),
                       .sha256 = *digest,
                       .pinned = !sha256.empty(),
                       .source_stamp = opened->stamp,
                       .copy_stamp = *sealed});
}

Result<void> ImageStore::commit(const model::ResourceId& id, const Import& import) const {
    if (Result<void> linked = replace_link(layout_.current(id), import.sha256); !linked) return linked;
    return replace_file(layout_.record(id), to_record(import));
}

}  // namespace safe::libvirt
