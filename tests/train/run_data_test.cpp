#include "detent/train/run_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/data/hdf5_dataset.h"
#include "detent/quant/passes/convert.h"
#include "detent/report/record_json.h"
#include "detent/train/resume/run_record.h"
#include "tests/train/tiny_run.h"

namespace detent::train::run_data_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kSmall = R"([model]
layers = ["flatten", "linear 10"]
[train]
epochs = 1
)";

// A few digits.
data::DataSource few(std::int64_t count = 20) { return data::make_digits({.train = count, .test = count}); }

std::string name_in(const std::string& file, const std::string& name, const std::vector<std::string>& overrides = {}) {
  return parse_recipe("[data]\nname = \"" + name + "\"\n" + kSmall, file, overrides).data.name.value();
}

TEST(RunData, APathInARecipeStartsAtTheRecipesFolder) {
  EXPECT_EQ(name_in("sets/my.toml", "./few.h5"), "sets/./few.h5");
  EXPECT_EQ(name_in("sets/my.toml", "few.h5"), "sets/few.h5");
  EXPECT_EQ(name_in("sets/my.toml", ".."), "sets/..");
  EXPECT_EQ(name_in("/sets/my.toml", "../few/"), "/sets/../few/");
  EXPECT_EQ(name_in("sets/my.toml", "/few/"), "/few/");
  EXPECT_EQ(name_in("my.toml", "few/"), "few/");
  EXPECT_EQ(name_in("sets/my.toml", "mnist"), "mnist") << "a name is no path";
  EXPECT_EQ(name_in("sets/my.toml", "mnist", {"data.name=./few"}), "./few") << "the command line's are the shell's";
  EXPECT_EQ(name_in("sets/my.toml", "mnist", {"data.name=\"few.h5\""}), "few.h5");
}

TEST(RunData, ARecipeThatIsNotUtf8IsRefusedWithItsLine) {
  for (const std::string bad : {"# caf\xE9", "name = \"\xC0\xAF\"", "x\xFF"}) {
    EXPECT_THAT(error_of([&] { parse_recipe("[data]\n\n" + bad + "\n" + kSmall, "bad.toml"); }),
                AllOf(HasSubstr("bad.toml:3: expected UTF-8, got byte 0x"), HasSubstr("save the file as UTF-8")));
  }
  EXPECT_THAT(error_of([&] { parse_recipe(kSmall, "my.toml", {"data.name=\xFF"}); }), HasSubstr("expected UTF-8"));
  EXPECT_EQ(parse_recipe(kSmall, "sets/\xFF.toml").name, "\xEF\xBF\xBD");
}

TEST(RunData, AValidationShareHoldsOutSomeAndLeavesSome) {
  const TempFolder folder;
  data::write_idx_folder(folder / "few", few());
  const auto open = [&](double share) {
    DataSettings section;
    section.validation = share;
    return open_run_data(section, folder / "few");
  };
  EXPECT_FALSE(open(0.0).validation.has_value());
  EXPECT_EQ(open(0.25).validation->size(), 5);
  EXPECT_EQ(open(0.25).train.size(), 15);
  EXPECT_EQ(open(0.95).train.size(), 10) << "every class keeps one";
  EXPECT_THAT(data::class_counts(open(0.5).validation.value(), 10), ::testing::Each(1));
  EXPECT_THAT(error_of([&] { open(0.04); }), HasSubstr("0.04 of 20 training examples is none; write at least 0.05"));
  EXPECT_THAT(error_of([&] { open(1.0); }), HasSubstr("leaves none to train on"));
}

class ModelData : public ::testing::Test {
 protected:
  ModelData() {
    auto x = model.graph.input({28, 28, 1});
    model.graph.output(model.graph.linear(model.graph.flatten(x), {.out_features = 10}));
    model.attributes = {{"dataset", std::string("letters")}, {"normalization_mean", 0.0}, {"normalization_std", 1.0}};
  }
  quant::OpenedModel opened() const {
    return {.kind = "fp32", .content = model.graph, .attributes = model.attributes, .file = folder / "model.h5"};
  }
  std::string error_on(const data::DataSource& source) const {
    data::write_hdf5_dataset(folder / "set.h5", source);
    const std::string error = error_of([&] { open_model_data(opened(), folder / "set.h5"); });
    std::filesystem::remove(folder / "set.h5");
    return error;
  }
  TempFolder folder;
  ScopedVariable data{"DETENT_DATA", nullptr};
  ScopedVariable cache{"XDG_CACHE_HOME", folder.path().c_str()};
  nn::Model model{.graph = {}, .kind = "fp32", .attributes = {}, .tensors = {}};
};

TEST_F(ModelData, LabelsThatTheModelCannotGiveAndOtherImagesAreRefused) {
  EXPECT_EQ(error_on(few()), "no error");
  data::DataSource twelve = few();
  twelve.train.classes = twelve.test.classes = 12;
  EXPECT_EQ(error_on(twelve), "no error") << "no label is beyond the model's classes";
  twelve.test.labels.data<std::int32_t>()[13] = 11;
  EXPECT_THAT(error_on(twelve),
              AllOf(HasSubstr("gives 10 classes, 0 to 9"), HasSubstr("label 11 (digits test, example 13)")));
  data::DataSource narrow = few();
  for (data::Dataset* part : {&narrow.train, &narrow.test}) {
    part->examples = part->examples.reshape({part->size(), 14, 56, 1});
  }
  EXPECT_THAT(error_on(narrow), AllOf(HasSubstr("[28, 28, 1]"), HasSubstr("[14, 56, 1]"), HasSubstr("--data DIR")));
}

TEST_F(ModelData, NamesOfClassesThatOnlyOneSideHasAreRefusedOrTold) {
  model.attributes["class_names"] = std::string(R"(["0","1","2","3","4","5","6","7","8","9"])");
  EXPECT_EQ(error_on(few()), "no error");
  model.attributes["class_names"] =
      std::string(R"(["eight","five","four","nine","one","seven","six","three","two","zero"])");
  EXPECT_THAT(error_on(few()),
              HasSubstr("model: its classes have names, the first \"eight\", but the labels of digits"));

  model.attributes.erase("class_names");
  model.graph = nn::Graph();
  model.graph.output(model.graph.linear(model.graph.input({1}), {.out_features = 2}));
  write_text(folder / "pets.csv", "x,label\n1,cat\n2,dog\n3,cat\n4,dog\n5,cat\n6,dog\n");
  EXPECT_THAT(open_model_data(opened(), folder / "pets.csv").description,
              HasSubstr(", whose class \"cat\" is 0 to the model, and so on in this order"));
  model.attributes["class_names"] = std::string(R"(["dog","cat"])");
  const RunData known = open_model_data(opened(), folder / "pets.csv");
  EXPECT_THAT(known.description, ::testing::Not(HasSubstr("to the model")));
  EXPECT_EQ(known.test.class_names.front(), "dog");
}

TEST_F(ModelData, TwoModelsReadOneSetOfDataIfTheirNamesAreOne) {
  const auto error = [&](const std::string& name, const std::string& ours, const std::string& theirs) {
    model.attributes[name] = ours;
    const quant::OpenedModel first = opened();
    theirs.empty() ? void(model.attributes.erase(name)) : void(model.attributes[name] = theirs);
    const quant::OpenedModel second = opened();
    model.attributes.erase(name);
    return error_of([&] { check_reads_alike(first, second); });
  };
  EXPECT_EQ(error("feature_names", R"(["x","y"])", R"(["x","y"])"), "no error");
  EXPECT_EQ(error("feature_names", R"(["x","y"])", ""), "no error") << "nothing to tell them apart by";
  EXPECT_THAT(error("feature_names", R"(["x","y","z"])", R"(["x","z","y"])"),
              HasSubstr("were trained on other features, or in another order: \"y\" is \"z\""));
  EXPECT_THAT(error("class_names", R"(["cat","dog"])", R"(["cat","dog","emu"])"),
              HasSubstr("were trained on other classes, or in another order: nothing is \"emu\""));
}

TEST_F(ModelData, WhatAModelNamesIsNeverReplaced) {
  EXPECT_THAT(error_of([&] { open_model_data(opened(), {}); }), HasSubstr("no data set \"letters\""));
  model.attributes["dataset"] = std::string("mnist");
  EXPECT_THAT(error_of([&] { open_model_data(opened(), {}); }), HasSubstr("no data set \"mnist\""));
  std::filesystem::create_directories(folder / "detent");
  data::write_hdf5_dataset(folder / "detent/letters.h5", few());
  model.attributes["dataset"] = std::string("letters");
  EXPECT_EQ(open_model_data(opened(), {}).name, "letters");
}

TEST_F(ModelData, AreLookedForWhereTheyLay) {
  data::write_hdf5_dataset(folder / "there.h5", few());
  const auto say = [&](const std::filesystem::path& path, int seed) {
    const evaluation::RunRecord record{.data_path = path.string()};
    const nlohmann::json metrics{{"recipe", "r"},
                                 {"seed", seed},
                                 {"check", {{"failures", nlohmann::json::array()}}},
                                 {"record", to_json(record)}};
    write_text(folder / "metrics.json", metrics.dump());
  };
  model.attributes["recipe"] = std::string("r");
  model.attributes["seed"] = std::int64_t{1};
  say(folder / "there.h5", 2);
  EXPECT_THAT(error_of([&] { open_model_data(opened(), {}); }), HasSubstr("no data set \"letters\""))
      << "the metrics are of another run";
  model.attributes["data_path"] = (folder / "there.h5").string();
  EXPECT_THAT(error_of([&] { open_model_data(opened(), {}); }), HasSubstr("no data set \"letters\""))
      << "a model's file leads nowhere";
  model.attributes.erase("data_path");
  say(folder / "there.h5", 1);
  const RunData there = open_model_data(opened(), {});
  EXPECT_EQ(there.path, (folder / "there.h5").string());
  EXPECT_EQ(there.test.size(), 20);
  EXPECT_THAT(there.description, HasSubstr("where the model's data lay when it was trained"));
  // A folder that is named counts before it, and its path is what models of a run then say.
  data::write_hdf5_dataset(folder / "named.h5", few(30));
  const RunData named = open_model_data(opened(), folder / "./named.h5");
  EXPECT_EQ(named.test.size(), 30);
  EXPECT_EQ(named.path, (folder / "named.h5").string());
  EXPECT_EQ(completed({}, named, "").data_path, named.path);
  EXPECT_FALSE(model_attributes("r", 1, named).contains("data_path")) << "models go to others";
  // A run that begins with the model goes there, too.
  EXPECT_EQ(open_run_data({}, {}, data::standard_readers(), model.attributes, folder / "model.h5").path, there.path);

  std::filesystem::remove(folder / "there.h5");
  EXPECT_THAT(
      error_of([&] { open_model_data(opened(), {}); }),
      AllOf(HasSubstr((folder / "there.h5").string() + ": the data that the model was trained on are no longer"),
            HasSubstr("no data set \"letters\"")));
  std::filesystem::create_directories(folder / "detent");
  data::write_hdf5_dataset(folder / "detent/letters.h5", few(40));
  const RunData found = open_model_data(opened(), {});
  EXPECT_EQ(found.test.size(), 40) << "found by its name";
  EXPECT_EQ(found.path, "");
}

TEST(Run, NamesThatAreNotUtf8EndInMetrics) {
  const TempFolder folder;
  data::DataSource source = few();
  source.name = "caf\xE9 \xFF";
  data::write_hdf5_dataset(folder / "d\xFF.h5", source);
  Reporter silent;
  const Recipe recipe = parse_recipe(kSmall, (folder / "r\xFE.toml").string());
  const RunOptions options{.data = folder / "d\xFF.h5", .out = folder / "out\xFD"};
  recipes::run(recipe, options, silent);
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder / "out\xFD/metrics.json"));
  EXPECT_EQ(metrics["dataset"], "caf\xEF\xBF\xBD \xEF\xBF\xBD");
  EXPECT_EQ(metrics["recipe"], "r\xEF\xBF\xBD");
  const quant::OpenedModel model = quant::open_model(folder / "out\xFD/int8.h5");
  EXPECT_EQ(std::get<std::string>(model.attributes.at("dataset")), metrics["dataset"].get<std::string>());
}

TEST(Run, RecordsWhatTheDataAreCalled) {
  const TempFolder folder;
  data::write_idx_folder(folder / "letters", few());
  Reporter silent;
  const Recipe recipe = parse_recipe(kSmall, "small.toml");
  for (const std::string path : {"letters", "letters/", "letters/../letters//"}) {
    EXPECT_EQ(recipes::run(recipe, {.data = folder / path, .out = folder / "out"}, silent).dataset, "letters") << path;
  }
  Recipe named = recipe;
  named.data.name = (folder / "letters/").string();
  EXPECT_EQ(run(named, {.data = {}, .out = folder / "out"}, silent).dataset, "letters");
}

}  // namespace
}  // namespace detent::train::run_data_test
