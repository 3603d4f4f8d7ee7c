// HDF5 files in which other programs keep more than tensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/io/foreign_tensor_file.h"
#include "detent/io/tensor_file.h"
#include "tests/data/h5py.h"
#include "tests/data/temp_folder.h"

namespace detent::foreign_tensor_file_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ForeignTensorFile, WhatIsNoNumberIsPassedOver) {
  const TempFolder folder;
  const auto path = folder / "data.h5";
  if (!run_h5py(on_file(path, R"(f['labels'] = np.array([True, False, True])
f['wide'] = np.array([1, 1 << 40])
f['half'] = np.array([7, 65535], dtype='u2'); f['half'].attrs['dtype'] = 'uint16'
f['names'] = np.array(['a', 'b'], dtype=h5py.string_dtype())
f['text/note'] = 'variable'
f['text/fixed'] = np.array([b'ab', b'c'])
f['struct'] = np.zeros(3, dtype=[('a', 'f4'), ('b', 'i4')])
f['complex'] = np.zeros(3, 'c8')
f['nothing'] = h5py.Empty('f4')
f.create_dataset('lists', (2,), dtype=h5py.vlen_dtype('i4'))
f.create_dataset('reference', data=f['text'].ref, dtype=h5py.ref_dtype)
f.attrs['name'] = np.bytes_(bytes([99, 97, 102, 0xe9])))"))) {
    GTEST_SKIP() << "no h5py";
  }
  EXPECT_THAT(error_of([&] { read_foreign_file(path); }),
              AllOf(HasSubstr("'wide'"), HasSubstr("element 1 is 1099511627776"), HasSubstr("32 bits")));
  EXPECT_THAT(error_of([&] {
                read_foreign_file(path, {"labels", "names"});
              }),
              AllOf(HasSubstr("'names'"), HasSubstr("it holds texts")));
  EXPECT_THAT(error_of([&] { read_foreign_file(path, {"struct"}); }), HasSubstr("expected numbers"));
  EXPECT_THAT(error_of([&] { read_foreign_file(path, {"nothing"}); }), HasSubstr("expected numbers"));

  run_h5py(on_file(path, "del f['wide']"));
  const TensorFile all = read_foreign_file(path);
  EXPECT_EQ(all.tensors.size(), 2U);
  EXPECT_THAT(all.tensor("labels").data<std::int8_t>(), ElementsAre(1, 0, 1));
  EXPECT_THAT(all.tensor("half").data<std::int32_t>(), ElementsAre(7, 65535));
  EXPECT_THAT(all.enumerations, ElementsAre("labels"));
  EXPECT_EQ(all.text("name"), "caf\xEF\xBF\xBD");
}

TEST(ForeignTensorFile, OnlyWhatIsAskedForIsRead) {
  const TempFolder folder;
  TensorFile file;
  file.attributes["name"] = std::string("four");
  for (const char* const name : {"a/b", "a/c", "ab", "d"}) {
    file.tensors[name] = Tensor::scalar(1.0F);
  }
  file.write(folder / "a.h5");
  const TensorFile some = read_foreign_file(folder / "a.h5", {"a/b", "d/e", "none"});
  EXPECT_EQ(some.tensors.size(), 1U);
  EXPECT_TRUE(some.tensors.contains("a/b"));
  EXPECT_EQ(some.text("name"), "four");
}

}  // namespace
}  // namespace detent::foreign_tensor_file_test
