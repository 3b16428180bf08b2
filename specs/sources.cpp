#include "specs/sources.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "specs/digest.hpp"
#include "specs/document.hpp"

namespace safe::specs {
namespace {

namespace fs = std::filesystem;

/// A file descriptor, closed once.
class Descriptor {
 public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor(Descriptor&&) = delete;
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    [[nodiscard]] int get() const { return number_; }

 private:
    int number_;
};

std::string advice_for(int failure) {
    switch (failure) {
        case ENOENT:
            return "check the path";
        case EACCES:
            return "run as a user who may read it";
        default:
            return "";
    }
}

/// Paths are told in full, or near it.
std::string shown_path(const fs::path& path) { return shown(path.string(), 300); }

bool is_yaml(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

}  // namespace

Sources::Sources(std::string file, Diagnostics& diagnostics) : file_(std::move(file)), diagnostics_(diagnostics) {
    std::error_code failure;
    const fs::path absolute = fs::absolute(file_, failure);
    directory_ = (failure ? fs::path(file_) : absolute).lexically_normal().parent_path().string();
}

std::optional<std::string> Sources::read_first() {
    auto text = read(file_, {file_, 0, 0});
    if (text) record(fs::path(file_).filename().string(), *text);
    return text;
}

void Sources::take_first(std::string_view text) {
    bytes_left_ -= std::min(bytes_left_, text.size());
    record(fs::path(file_).filename().string(), text);
}

std::vector<Sources::File> Sources::read_included(const std::string& word, const Position& at) {
    if (!lies_below(word, at)) return {};
    std::error_code failure;
    const bool is_directory = fs::is_directory(fs::path(directory_) / word, failure);
    std::vector<File> files;
    for (const std::string& name : is_directory ? list_directory(word, at) : std::vector<std::string>{word}) {
        if (is_directory && !lies_below(name, at)) continue;
        if (sums_.size() >= Bounds::files) {
            diagnostics_.error(at, fmt::format("the spec is made of more than {} files", Bounds::files));
            break;
        }
        auto text = read(fs::path(file_).parent_path() / name, at);
        if (!text) continue;
        record(name, *text);
        files.push_back({(fs::path(file_).parent_path() / name).string(), *std::move(text)});
    }
    return files;
}

std::string Sources::digest() const { return sha256_hex(fmt::format("{}", fmt::join(sums_, ""))); }

std::optional<std::string> Sources::read(const fs::path& path, const Position& at) {
    const auto fail = [&](const std::string& why, const std::string& help) {
        diagnostics_.error(at, fmt::format("cannot read {}: {}", shown_path(path), why), help);
        return std::nullopt;
    };
    // Not blocking, because a named pipe without a writer would otherwise be waited for.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.get() < 0) return fail(std::generic_category().message(errno), advice_for(errno));
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0) return fail(std::generic_category().message(errno), "");
    if (S_ISDIR(status.st_mode)) return fail("it is a directory", "name the file in it");
    if (!S_ISREG(status.st_mode)) return fail("it is not a regular file", "write the spec to a file");

    std::string text;
    while (true) {
        constexpr std::size_t piece = std::size_t{64} << 10;
        const std::size_t size = text.size();
        text.resize(size + piece);
        const ssize_t count = ::read(file.get(), text.data() + size, piece);
        if (count < 0 && errno == EINTR) {
            text.resize(size);
            continue;
        }
        if (count < 0) return fail(std::generic_category().message(errno), "");
        text.resize(size + static_cast<std::size_t>(count));
        if (count == 0) break;
        if (text.size() > bytes_left_) {
            return fail(fmt::format("the files of a spec have more than {} bytes together", Bounds::bytes), "");
        }
    }
    bytes_left_ -= text.size();
    return text;
}

bool Sources::lies_below(const std::string& name, const Position& at) {
    std::error_code failure;
    const fs::path directory = fs::canonical(directory_, failure);
    const fs::path target = failure ? fs::path{} : fs::canonical(fs::path(directory_) / name, failure);
    if (failure) {
        diagnostics_.error(at, fmt::format("cannot include {}: {}", shown_path(name), failure.message()),
                           advice_for(failure.value()));
        return false;
    }
    const auto [last, rest] = std::ranges::mismatch(directory, target);
    if (last == directory.end() && target != directory) return true;
    diagnostics_.error(at, fmt::format("{} leads out of the spec's own directory", shown_path(name)),
                       "include only what lies below it");
    return false;
}

std::vector<std::string> Sources::list_directory(const std::string& word, const Position& at) {
    std::vector<std::string> names;
    std::error_code failure;
    fs::directory_iterator entry(fs::path(directory_) / word, failure);
    for (; !failure && entry != fs::directory_iterator{}; entry.increment(failure)) {
        const fs::path name = entry->path().filename();
        if (name.string().starts_with('.')) continue;  // what editors leave behind
        if (is_yaml(name)) {
            names.push_back((fs::path(word) / name).string());
        } else {
            diagnostics_.warning(at, fmt::format("{} is not included", shown_path(fs::path(word) / name)),
                                 "only files called *.yaml are");
        }
    }
    if (failure) {
        diagnostics_.error(at, fmt::format("cannot list {}: {}", shown_path(word), failure.message()),
                           advice_for(failure.value()));
    }
    std::ranges::sort(names);
    return names;
}

void Sources::record(const std::string& name, std::string_view text) {
    sums_.push_back(fmt::format("{}  {}\n", sha256_hex(text), name));
}

}  // namespace safe::specs
