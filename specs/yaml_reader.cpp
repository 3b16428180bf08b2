#include "specs/yaml_reader.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include "specs/text_scan.hpp"

namespace safe::specs {
namespace {

/// Thrown through the parser to end it; what is wrong has been reported.
struct Stop {};

/// The parser's marks, which count bytes, as positions, which count characters. Cheap for marks in the order of the
/// text.
class Positions {
 public:
    Positions(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

    [[nodiscard]] Position of(const YAML::Mark& mark) {
        const std::size_t offset = std::min(offset_of(mark), text_.size());
        const std::size_t line_start = offset - std::min(offset, static_cast<std::size_t>(std::max(mark.column, 0)));
        if (line_start != line_start_ || offset < counted_to_) {
            line_start_ = counted_to_ = line_start;
            characters_ = 0;
        }
        for (; counted_to_ < offset; ++counted_to_) {
            if ((static_cast<unsigned char>(text_[counted_to_]) & 0xC0U) != 0x80U) ++characters_;
        }
        return {file_, static_cast<std::uint32_t>(mark.line + 1), characters_ + 1};
    }

    [[nodiscard]] static std::size_t offset_of(const YAML::Mark& mark) {
        return static_cast<std::size_t>(std::max(mark.pos, 0));
    }

    [[nodiscard]] bool at_end(const YAML::Mark& mark) const { return offset_of(mark) >= text_.size(); }
    [[nodiscard]] Position end() const { return position_of(text_, text_.size(), file_); }

    /// The character under the mark; NUL at the end.
    [[nodiscard]] char character(const YAML::Mark& mark) const { return at_end(mark) ? '\0' : text_[offset_of(mark)]; }

    [[nodiscard]] bool indented_with_tab(const YAML::Mark& mark) const {
        const std::string_view before = text_.substr(0, offset_of(mark));
        const std::size_t line_break = before.rfind('\n');
        const std::string_view line = text_.substr(line_break == std::string_view::npos ? 0 : line_break + 1);
        return line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
    }

 private:
    std::string_view text_;
    std::string file_;
    std::size_t line_start_ = 0;
    std::size_t counted_to_ = 0;
    std::uint32_t characters_ = 0;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
    TreeBuilder(Positions& positions, std::size_t& nodes_left, Diagnostics& diagnostics)
        : positions_(positions), nodes_left_(nodes_left), diagnostics_(diagnostics) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ == 0) return;
        diagnostics_.error(positions_.of(mark), "the document ended before this",
                           "one file is one document; look at the indentation");
        throw Stop{};
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        leaf(make_node(Node::Kind::nothing, spend(mark)), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto target = anchors_.find(anchor);
        if (target == anchors_.end()) {
            diagnostics_.error(positions_.of(mark), "an alias stands inside what it stands for",
                               "write the value itself");
            add(make_node(Node::Kind::nothing, spend(mark)));
            return;
        }
        check_depth(open_.size() + target->second.depth, mark);
        spend(mark, target->second.nodes);
        deepen(target->second.depth);
        add(Node(target->second.node));
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& text) override {
        Node node = make_node(Node::Kind::scalar, spend(mark), text, tag == "!");
        refuse_tag(mark, tag);
        if (text.size() > Bounds::scalar_bytes) {
            diagnostics_.error(node.at, fmt::format("a key or value has more than {} bytes", Bounds::scalar_bytes));
            node.text.clear();
        } else if (const CharacterFault fault = find_bad_character(text); !fault.what.empty()) {
            // It came from an escape; the file's own characters have been looked at.
            diagnostics_.error(node.at, "an escape makes " + fault.what, "write plain text");
            node.text.clear();
        }
        leaf(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value style) override {
        open(Node::Kind::list, mark, tag, anchor, style);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value style) override {
        open(Node::Kind::map, mark, tag, anchor, style);
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] Node& root() { return root_; }
    /// A document in brackets shows by itself that it is complete.
    [[nodiscard]] bool is_in_brackets() const { return in_brackets_; }
    /// Where the innermost list or map begins that is still open; nullptr when none is.
    [[nodiscard]] const Position* innermost() const { return open_.empty() ? nullptr : &open_.back().node.at; }

 private:
    struct Open {
        Node node;
        YAML::anchor_t anchor = 0;
        std::size_t first_node = 0;  // nodes_left_ when it began
        std::size_t depth = 1;       // of what is in it so far, itself included
        std::optional<Node> key = {};
        std::unordered_map<std::string, Position> keys = {};
    };
    struct Anchored {
        Node node;
        std::size_t nodes = 1;
        std::size_t depth = 0;
    };

    Position spend(const YAML::Mark& mark, std::size_t nodes = 1) {
        Position at = positions_.of(mark);
        spend(at, nodes);
        return at;
    }

    void spend(const Position& at, std::size_t nodes) {
        if (nodes > nodes_left_) {
            diagnostics_.error(at, fmt::format("the spec has more than {} keys and values, aliases and anchors counted",
                                               Bounds::nodes));
            throw Stop{};
        }
        nodes_left_ -= nodes;
    }

    void check_depth(std::size_t depth, const YAML::Mark& mark) {
        if (depth <= Bounds::depth) return;
        diagnostics_.error(positions_.of(mark),
                           fmt::format("lists and mappings lie more than {} deep in each other", Bounds::depth));
        throw Stop{};
    }

    /// What is being read holds something of this depth.
    void deepen(std::size_t depth) {
        if (!open_.empty()) open_.back().depth = std::max(open_.back().depth, depth + 1);
    }

    void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        const bool is_implied = tag.empty() || tag == "?" || (tag == "!" && positions_.character(mark) != '!');
        if (is_implied) return;
        diagnostics_.error(positions_.of(mark), "a tag is not part of the language: " + shown(tag), "remove it");
    }

    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              YAML::EmitterStyle::value style) {
        check_depth(open_.size() + 1, mark);
        const std::size_t first_node = nodes_left_;
        refuse_tag(mark, tag);
        if (open_.empty()) in_brackets_ = style == YAML::EmitterStyle::Flow;
        open_.push_back({.node = make_node(kind, spend(mark)), .anchor = anchor, .first_node = first_node});
    }

    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        deepen(done.depth);
        if (done.anchor != 0) remember(done.anchor, {done.node, done.first_node - nodes_left_, done.depth});
        add(std::move(done.node));
    }

    void leaf(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) remember(anchor, {node});
        add(std::move(node));
    }

    void remember(YAML::anchor_t anchor, Anchored anchored) {
        spend(anchored.node.at, anchored.nodes);
        anchors_.insert_or_assign(anchor, std::move(anchored));
    }

    void add(Node node) {
        if (open_.empty()) {
            root_ = std::move(node);
        } else if (Open& parent = open_.back(); parent.node.kind == Node::Kind::list) {
            parent.node.items.push_back(std::move(node));
        } else if (!parent.key) {
            parent.key = std::move(node);
        } else {
            add_entry(parent, *std::exchange(parent.key, std::nullopt), std::move(node));
        }
    }

    void add_entry(Open& map, Node key, Node value) {
        if (key.kind != Node::Kind::scalar) {
            diagnostics_.error(
                key.at, fmt::format("a key is text, not {}", describe(key)),
                key.kind == Node::Kind::nothing ? "write the key, in quotes if it is the word null" : "");
        } else if (key.text == "<<" && !key.quoted) {
            diagnostics_.error(key.at, "merge keys are not part of the language", "write the keys themselves");
        } else if (const auto [first, is_new] = map.keys.try_emplace(key.text, key.at); !is_new) {
            diagnostics_.error(key.at, fmt::format("{} is given twice", shown(key.text)),
                               "the first time is at " + to_text(first->second));
        } else {
            // The parser places nothing where the next thing is.
            if (value.kind == Node::Kind::nothing) value.at = key.at;
            map.node.entries.push_back({std::move(key.text), std::move(key.at), std::move(value)});
        }
    }

    Positions& positions_;
    std::size_t& nodes_left_;
    Diagnostics& diagnostics_;
    std::vector<Open> open_;
    std::unordered_map<YAML::anchor_t, Anchored> anchors_;
    Node root_;
    std::size_t documents_ = 0;
    bool in_brackets_ = false;
};

struct Translation {
    std::string_view theirs;
    std::string_view ours;
    std::string_view help;
};
constexpr std::array<Translation, 9> translations{{
    {"end of map flow not found", "a comma or } is missing before this", ""},
    {"end of sequence flow not found", "a comma or ] is missing before this", ""},
    {"end of map not found", "this fits neither the mapping before it nor one around it", "look at the indentation"},
    {"end of sequence not found", "this fits neither the list before it nor one around it", "look at the indentation"},
    {"illegal map value", "a colon cannot stand here", "look at the indentation, or put the text in quotes"},
    {"illegal block entry", "a list cannot begin here", "begin it on a line of its own, or write [ ]"},
    {"illegal flow end", "this bracket closes nothing", ""},
    {"illegal document indicator in scalar", "a document cannot begin or end inside a text", ""},
    {"unknown token", "no value begins with this character", "put the text in quotes"},
}};

void report(const YAML::Exception& failure, const Position* innermost, Positions& positions, Diagnostics& diagnostics) {
    if (positions.at_end(failure.mark)) {
        const std::string help = "is the file complete?";
        if (failure.msg.find("scalar") != std::string::npos) {
            diagnostics.error(positions.end(), "the file ends inside a text in quotes", help);
        } else if (innermost != nullptr) {
            diagnostics.error(*innermost, "the file ends before what begins here does", help);
        } else {
            diagnostics.error(positions.end(), "the file ends too early: " + failure.msg, help);
        }
        return;
    }
    const Position at = positions.of(failure.mark);
    const auto* const known = std::ranges::find(translations, failure.msg, &Translation::theirs);
    const bool is_known = known != translations.end();
    std::string help(is_known ? known->help : "");
    if (positions.indented_with_tab(failure.mark)) help = "indent with spaces: there is a tab";
    diagnostics.error(at, is_known ? std::string(known->ours) : "this is no YAML: " + failure.msg, std::move(help));
}

}  // namespace

std::optional<Node> read_yaml(std::string_view text, const std::string& file, std::size_t& nodes_left,
                              Diagnostics& diagnostics) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    if (!fit_for_parsing(text, file, diagnostics)) return std::nullopt;

    Positions positions(text, file);
    TreeBuilder builder(positions, nodes_left, diagnostics);
    const bool last_line_ends = text.empty() || text.ends_with('\n');
    // The end is marked, because the parser takes a quoted text that the end of the file cuts off for a whole one.
    std::istringstream stream(std::string(text) + (last_line_ends ? "...\n" : "\n...\n"));
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const Stop&) {
        return std::nullopt;
    } catch (const YAML::Exception& failure) {
        report(failure, builder.innermost(), positions, diagnostics);
        return std::nullopt;
    }
    if (!last_line_ends && !builder.is_in_brackets()) {
        diagnostics.error(positions.end(), "the last line has no end: the file looks cut off",
                          "complete it, or end it with a line break");
    }
    return std::move(builder.root());
}

}  // namespace safe::specs
