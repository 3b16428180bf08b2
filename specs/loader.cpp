#include "specs/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "specs/field_makers.hpp"
#include "specs/fields.hpp"
#include "specs/sources.hpp"
#include "specs/validator.hpp"
#include "specs/yaml_reader.hpp"

namespace safe::specs {
namespace {

constexpr std::string_view include_key = "include";

class Load {
 public:
    explicit Load(const std::string& file) : file_(file), sources_(file, diagnostics_) {}

    Loaded from_file() {
        if (const auto text = sources_.read_first()) from(*text);
        return finish();
    }

    Loaded from_text(std::string_view text) {
        if (text.size() > Bounds::bytes) {
            diagnostics_.error({file_, 0, 0}, fmt::format("a spec has more than {} bytes", Bounds::bytes));
        } else {
            sources_.take_first(text);
            from(text);
        }
        return finish();
    }

 private:
    void from(std::string_view text) {
        auto root = read(text, file_);
        if (!root) return;
        include_all(*root);
        // Half of the files would only give errors that the other half answers.
        if (unreadable_) return;
        Reader reader(sources_.directory(), unsound_, diagnostics_);
        reader.fields(spec_, *root, {file_, 1, 1}, spec_fields(), "");
        validate(spec_, unsound_, diagnostics_);
    }

    /// The mapping that a file holds.
    std::optional<Node> read(std::string_view text, const std::string& file) {
        auto node = read_yaml(text, file, nodes_left_, diagnostics_);
        if (!node) {
            unreadable_ = true;
        } else if (node->kind == Node::Kind::nothing) {
            diagnostics_.error({file, 1, 1}, "the file holds nothing", "a spec begins with version: 1");
            node.reset();
        } else if (node->kind != Node::Kind::map) {
            diagnostics_.error(node->at, fmt::format("a spec is a mapping, not {}", describe(*node)),
                               "it begins with version: 1");
            node.reset();
        }
        return node;
    }

    void include_all(Node& root) {
        const auto include = std::ranges::find(root.entries, include_key, &Entry::key);
        if (include == root.entries.end()) return;
        // What is wrong with the list itself is reported again when the table reads it; one of the two is dropped.
        Reader reader(sources_.directory(), unsound_, diagnostics_);
        const auto words = read_list(include->value, types::include_path(), std::string(include_key), reader);
        std::unordered_set<std::string> seen{file_};
        for (const Located<std::string>& word : words) {
            for (const Sources::File& file : sources_.read_included(*word, word.at)) {
                if (!seen.insert(file.name).second) {
                    diagnostics_.error(word.at, shown(file.name) + " is included twice", "include it once");
                } else if (auto included = read(file.text, file.name)) {
                    merge(root, *std::move(included));
                }
            }
        }
    }

    static bool is_merged_by_name(const std::string& key) {
        const auto& infos = spec_field_infos();
        const auto info = std::ranges::find(infos, key, &FieldInfo::key);
        return info != infos.end() && info->shape == FieldInfo::Shape::names;
    }

    void merge(Node& root, Node included) {
        for (Entry& entry : included.entries) {
            const auto present = std::ranges::find(root.entries, entry.key, &Entry::key);
            const bool are_maps = entry.value.kind == Node::Kind::map && present != root.entries.end() &&
                                  present->value.kind == Node::Kind::map;
            if (entry.key == include_key) {
                diagnostics_.error(entry.at, "an included file includes nothing itself",
                                   "include it in " + shown(file_));
            } else if (present == root.entries.end()) {
                root.entries.push_back(std::move(entry));
            } else if (are_maps && is_merged_by_name(entry.key)) {
                add_names(*present, std::move(entry));
            } else {
                given_twice(entry.key, entry.at, present->at);
            }
        }
    }

    void add_names(Entry& into, Entry from) {
        auto& known = names_[into.key];
        if (known.empty()) {
            for (const Entry& entry : into.value.entries) known.emplace(entry.key, entry.at);
        }
        for (Entry& entry : from.value.entries) {
            const auto [first, is_new] = known.emplace(entry.key, entry.at);
            if (is_new) {
                into.value.entries.push_back(std::move(entry));
            } else {
                given_twice(into.key + "." + entry.key, entry.at, first->second);
            }
        }
    }

    void given_twice(const std::string& path, const Position& at, const Position& first) {
        diagnostics_.error(at, shown(path) + " is given twice", "the first time is at " + to_text(first));
    }

    /// Errors are the last to be left out.
    void shorten(Loaded& loaded) const {
        std::vector<Diagnostic>& list = loaded.diagnostics;
        if (list.size() <= Bounds::diagnostics) return;
        const std::size_t left_out = list.size() - Bounds::diagnostics;
        std::ranges::sort(list, {}, [](const Diagnostic& d) { return std::tie(d.severity, d.at, d.message); });
        list.resize(Bounds::diagnostics);
        std::ranges::sort(list, {}, [](const Diagnostic& d) { return std::tie(d.at, d.severity, d.message); });
        using Severity = Diagnostic::Severity;
        list.push_back({loaded.spec ? Severity::warning : Severity::error,
                        {file_, 0, 0},
                        fmt::format("{} more are not shown", left_out),
                        ""});
    }

    Loaded finish() {
        Loaded loaded{.spec = std::nullopt, .diagnostics = diagnostics_.sorted()};
        if (!diagnostics_.has_errors()) {
            spec_.source = file_;
            spec_.digest = sources_.digest();
            loaded.spec = std::move(spec_);
        }
        shorten(loaded);
        return loaded;
    }

    std::string file_;
    Diagnostics diagnostics_;
    Sources sources_;
    Unsound unsound_;
    SafeSpec spec_;
    std::size_t nodes_left_ = Bounds::nodes;
    bool unreadable_ = false;
    std::unordered_map<std::string, std::unordered_map<std::string, Position>>
        names_;  // seen so far, of what is merged
};

}  // namespace

Loaded load_file(const std::string& path) { return Load(path).from_file(); }

Loaded load_text(std::string_view text, const std::string& file) { return Load(file).from_text(text); }

}  // namespace safe::specs
