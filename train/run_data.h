#pragma once

#include <filesystem>
#include <optional>

#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/data/readers.h"
#include "detent/quant/passes/open_model.h"
#include "detent/train/model_attributes.h"
#include "detent/train/settings.h"

namespace detent::train {

/// The data of a run: what [data] says, cut to size, with the validation part split off.
struct RunData {
  std::string name;  ///< the data set in use: "mnist", "digits", or what the data call themselves
  std::string description;
  bool is_builtin = false;
  data::Dataset train;
  std::optional<data::Dataset> validation;
  data::Dataset test;
  data::Normalization normalization;
  data::ReadOptions read = {};  ///< as the data were understood
  std::string path = {};        ///< where they were read from, in full; empty: they were found by name, or are built in
};

/// Opens the data of [data], in `folder` if one is named; what [data] does not say is as `trained` says, the attributes
/// of the model that the run begins with, and as the run says that gave its `file` (data_path_of). Throws Error as
/// data::open_data does, or for a validation share that holds out nothing or leaves nothing to train on.
RunData open_run_data(const DataSettings& section, const std::optional<std::filesystem::path>& folder,
                      const data::Readers& readers = data::standard_readers(), const Attributes& trained = {},
                      const std::filesystem::path& file = {});
/// Throws Error for examples that a model of these shapes, of one example, does not take, and labels that it cannot
/// give.
void check_fits(const data::Dataset& dataset, const std::string& description, const Shape& input, const Shape& output);

/// What the models of a run say in their files: recipe, seed, and of the data what model_attributes.h lists.
Attributes model_attributes(const std::string& recipe, std::uint64_t seed, const RunData& data);

/// Where the data of a model with these attributes lay, if its `file` lies beside the metrics.json of its run, which
/// says so (RunRecord); else empty. Model files do not say it, for they go to others, and the same model has the same
/// bytes wherever data lie.
std::string data_path_of(const Attributes& attributes, const std::filesystem::path& file);

/// The test set that a model was trained for, by its attributes: in `folder` if one is named, else where its data lay
/// when it was trained, as the description then says, else found by name. The data set that a model names is found or
/// refused, never replaced by the built-in one. Throws Error if an attribute is missing, if the images are not of the
/// model's shape, if a test label is none of its classes, or if targets are of another kind. Of arrays, `columns` are
/// kept beside the examples besides those of the model's run; tables keep all.
RunData open_model_data(const quant::OpenedModel& model, const std::optional<std::filesystem::path>& folder,
                        const std::vector<std::string>& columns = {});

/// Throws Error unless examples that were read for `model` are read for `other` likewise: the same features and the
/// same classes, where both have names for them, in the same order.
void check_reads_alike(const quant::OpenedModel& model, const quant::OpenedModel& other);

}  // namespace detent::train
