// One table, one verdict: every leaf of it gets valid, wrong-typed and out-of-bounds values, and the loader and the
// JSON Schema (as an implementation of somebody else's reads it) must agree on each.
#include "specs/schema.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "specs/fields.hpp"
#include "specs/text_scan.hpp"
#include "specs/yaml_reader.hpp"
#include "tests/unit/specs/accepted.hpp"

namespace safe::specs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

TEST(Schema, InTheRepositoryIsUpToDate) {
    test::expect_accepted(test::source_directory() / "docs/safe.schema.json", json_schema());
}

TEST(Reference, InTheRepositoryIsUpToDate) {
    test::expect_accepted(test::source_directory() / "docs/spec-reference.md", reference_markdown());
}

struct Document {
    std::string what;
    std::string text;
    bool is_valid = false;
};

/// Documents that differ from a whole one in one place.
class Documents {
 public:
    explicit Documents(const std::vector<FieldInfo>& fields) : whole_(part(fields)) {
        add("whole", whole_, true);
        walk(Json::json_pointer(), fields);
    }

    [[nodiscard]] const std::vector<Document>& list() const { return list_; }

 private:
    static Json value(const ScalarInfo& scalar, const std::string& text) {
        return scalar.kind == ScalarInfo::Kind::text ? Json(text) : Json::parse(text);
    }

    static Json example(const FieldInfo& field) {
        switch (field.shape) {
            case FieldInfo::Shape::scalar:
                return value(field.scalar, field.scalar.valid.front());
            case FieldInfo::Shape::list:
                return Json::array({value(field.scalar, field.scalar.valid.front())});
            case FieldInfo::Shape::part:
                return part(field.inside);
            case FieldInfo::Shape::choice:
                return {{field.inside.front().key, example(field.inside.front())}};
            case FieldInfo::Shape::names:
                return {{field.name.valid.front(), part(field.inside)}};
            case FieldInfo::Shape::pairs:
                return {{field.name.valid.front(), value(field.scalar, field.scalar.valid.front())}};
        }
        return {};
    }

    static Json part(const std::vector<FieldInfo>& fields) {
        Json made = Json::object();
        for (const FieldInfo& field : fields) made[field.key] = example(field);
        return made;
    }

    void add(const std::string& what, const Json& document, bool is_valid) {
        list_.push_back({what, document.dump(), is_valid});
    }

    void with(const Json::json_pointer& where, const Json& value, bool is_valid) {
        Json document = whole_;
        document[where] = value;
        add(where.to_string() + " = " + value.dump().substr(0, 60), document, is_valid);
    }

    void scalars(const Json::json_pointer& where, const ScalarInfo& scalar) {
        for (const std::string& text : scalar.valid) with(where, value(scalar, text), true);
        for (const std::string& text : scalar.invalid) with(where, value(scalar, text), false);
        for (const Json& value : wrong_types(scalar.kind)) with(where, value, false);
        for (const Json& value : Json::array({nullptr, Json::array(), Json::object()})) with(where, value, false);
    }

    static Json wrong_types(ScalarInfo::Kind kind) {
        switch (kind) {
            case ScalarInfo::Kind::text:
                return Json::array({7, 1.5, 0, true});
            case ScalarInfo::Kind::integer:
                return Json::array({"1", 1.5, "x", true});
            case ScalarInfo::Kind::boolean:
                return Json::array({"true", "yes", 0, 1, 1.5});
        }
        return {};
    }

    void keys(const Json::json_pointer& where, const FieldInfo& field) {
        const Json inside = whole_[where].front();
        for (const std::string& text : field.name.valid) with(where, {{text, inside}}, true);
        for (const std::string& text : field.name.invalid) with(where, {{text, inside}}, false);
    }

    void walk(const Json::json_pointer& where, const std::vector<FieldInfo>& fields) {
        Json unknown = whole_[where];
        unknown["unknown-key"] = "x";
        with(where, unknown, false);
        for (const FieldInfo& field : fields) {
            const Json::json_pointer here = where / field.key;
            Json without = whole_[where];
            without.erase(field.key);
            with(where, without, field.presence != FieldInfo::Presence::required);
            shape(here, field);
        }
    }

    void shape(const Json::json_pointer& here, const FieldInfo& field) {
        if (field.shape == FieldInfo::Shape::scalar) return scalars(here, field.scalar);
        const bool is_list = field.shape == FieldInfo::Shape::list;
        const Json wrong = is_list ? Json::array({nullptr, 7, "x", true, Json::object(), Json::array()})
                                   : Json::array({nullptr, 7, "x", true, Json::array(), Json::array({"x"})});
        for (const Json& value : wrong) with(here, value, false);
        if (is_list) {
            const Json item = value(field.scalar, field.scalar.valid.front());
            with(here, Json::array({item, item}), false);
            return scalars(here / 0, field.scalar);
        }
        if (field.shape == FieldInfo::Shape::part) return walk(here, field.inside);
        if (field.shape == FieldInfo::Shape::choice) return choice(here, field.inside);
        with(here, Json::object(), true);
        keys(here, field);
        const Json::json_pointer first = here / field.name.valid.front();
        if (field.shape == FieldInfo::Shape::pairs) return scalars(first, field.scalar);
        for (const Json& value : Json::array({nullptr, 7, "x", Json::array()})) with(first, value, false);
        walk(first, field.inside);
    }

    /// One of the ways, not none and not two; what each way takes is judged like any scalar.
    void choice(const Json::json_pointer& where, const std::vector<FieldInfo>& ways) {
        with(where, Json::object(), false);
        with(where, {{"unknown-key", "x"}}, false);
        with(where, part(ways), false);
        const Json whole = whole_;
        for (const FieldInfo& way : ways) {
            whole_[where] = {{way.key, example(way)}};
            with(where, whole_[where], true);
            scalars(where / way.key, way.scalar);
        }
        whole_ = whole;
    }

    Json whole_;
    std::vector<Document> list_;
};

/// What the loader says of the form alone, without the validator.
std::string loader_verdict(const std::string& text) {
    std::size_t nodes_left = Bounds::nodes;
    Diagnostics diagnostics;
    Unsound unsound;
    SafeSpec spec;
    if (const auto node = read_yaml(text, "safe.yaml", nodes_left, diagnostics)) {
        Reader reader("/srv", unsound, diagnostics);
        if (reader.expect(*node, Node::Kind::map, "")) reader.fields(spec, *node, node->at, spec_fields(), "");
    }
    std::string all;
    for (const Diagnostic& diagnostic : diagnostics.sorted()) all += to_text(diagnostic) + "\n";
    return all;
}

/// Runs a program to its end, its output to a file; its exit status.
int run(std::vector<std::string> words, const fs::path& output) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = 0;
    const int failure = posix_spawn(&child, argv.front(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) return -1;
    int status = -1;
    return waitpid(child, &status, 0) == child ? status : -1;
}

TEST(Schema, AgreesWithTheLoaderOnEveryLeaf) {
    const Documents documents(spec_field_infos());
    const fs::path directory = fs::path(testing::TempDir()) / ("safe-schema-" + std::to_string(getpid()));
    std::string lines;
    for (const Document& document : documents.list()) lines += document.text + "\n";
    test::write_file(directory / "schema.json", json_schema());
    test::write_file(directory / "documents", lines);
    const std::string script = test::source_directory() / "tests/unit/specs/judge.py";
    ASSERT_EQ(
        run({"/usr/bin/python3", script, directory / "schema.json", directory / "documents"}, directory / "verdicts"),
        0)
        << "is python3-jsonschema installed?";
    const std::string verdicts = test::file_text(directory / "verdicts");
    ASSERT_EQ(verdicts.size(), documents.list().size() * 2);
    for (std::size_t i = 0; i < documents.list().size(); ++i) {
        const Document& document = documents.list()[i];
        const std::string faults = loader_verdict(document.text);
        EXPECT_EQ(verdicts[i * 2] == '1', document.is_valid) << "the schema, on " << document.what;
        EXPECT_EQ(faults.empty(), document.is_valid) << "the loader, on " << document.what << "\n" << faults;
    }
    EXPECT_GT(documents.list().size(), 900U);
    fs::remove_all(directory);
}

}  // namespace
}  // namespace safe::specs
