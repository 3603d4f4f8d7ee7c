#include "detent/data/formats/images/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/images/layout.h"
#include "detent/data/formats/limits.h"
#include "tests/data/pictures.h"

namespace detent::data::image_folder_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint8_t> pixels_of(const Tensor& image) {
  const auto pixels = image.data<std::uint8_t>();
  return {pixels.begin(), pixels.end()};
}

class Images : public ::testing::Test {
 protected:
  // `count` pictures of each class; those of a class have its value.
  void write_classes(const std::string& where, const std::vector<std::string>& classes, int count = 5) {
    std::uint8_t value = 10;
    for (const std::string& name : classes) {
      for (int i = 0; i < count; ++i) {
        write_png(folder / (where + "/" + name + "/" + std::to_string(i) + ".png"), Picture::of(2, 3, 1, value));
      }
      value = static_cast<std::uint8_t>(value + 10);
    }
  }
  DataSource read(const ReadOptions& options = {}) { return read_image_folder(folder / "data", options); }
  std::string error(const ReadOptions& options = {}) {
    return error_of([&] { read(options); });
  }
  TempFolder folder;
};

TEST_F(Images, PngIsReadAsItWasWritten) {
  const Picture grey{2, 3, 1, {0, 1, 127, 128, 254, 255}};
  write_png(folder / "a.png", grey);
  EXPECT_EQ(read_image(folder / "a.png").shape(), Shape({1, 2, 3, 1}));
  EXPECT_EQ(pixels_of(read_image(folder / "a.png")), grey.pixels);
  const Picture colour{1, 2, 3, {255, 0, 7, 1, 2, 3}};
  write_png(folder / "b.png", colour);
  EXPECT_EQ(pixels_of(read_image(folder / "b.png")), colour.pixels);
  write_png(folder / "c.png", {1, 2, 4, {200, 100, 50, 255, 200, 100, 50, 0}});
  EXPECT_THAT(pixels_of(read_image(folder / "c.png")), ElementsAre(200, 100, 50, 0, 0, 0))
      << "transparent lies on black";
}

TEST_F(Images, JpegIsReadByItsBytesWhateverItsName) {
  for (const bool is_progressive : {false, true}) {
    write_jpeg(folder / "grey.png", Picture::of(9, 17, 1, 77), is_progressive);
    const Tensor grey = read_image(folder / "grey.png");
    EXPECT_EQ(grey.shape(), Shape({1, 9, 17, 1}));
    EXPECT_THAT(pixels_of(grey), ::testing::Each(77));
    write_jpeg(folder / "colour.jpg", Picture::of(8, 8, 3, 128), is_progressive);
    EXPECT_EQ(read_image(folder / "colour.jpg").shape(), Shape({1, 8, 8, 3}));
    EXPECT_THAT(pixels_of(read_image(folder / "colour.jpg")), ::testing::Each(128));
  }
}

TEST_F(Images, EveryTruncationIsRefused) {
  Picture picture{16, 16, 1, {}};
  for (int i = 0; i < 256; ++i) {
    picture.pixels.push_back(static_cast<std::uint8_t>(i * 37));
  }
  write_png(folder / "a.png", picture);
  write_jpeg(folder / "a.jpg", picture);
  for (const char* const name : {"a.png", "a.jpg"}) {
    const std::string whole = read_text(folder / name);
    // A picture without its last bytes (the end of PNG's chunks, JPEG's end mark) may have all its pixels.
    for (std::size_t length = 0; length + 40 < whole.size(); length += 3) {
      write_text(folder / "cut", whole.substr(0, length));
      EXPECT_THAT(error_of([&] { read_image(folder / "cut"); }), HasSubstr("cut: ")) << name << ' ' << length;
    }
  }
  write_text(folder / "text.png", "no picture");
  EXPECT_THAT(error_of([&] { read_image(folder / "text.png"); }), HasSubstr("text.png: is neither PNG nor JPEG"));
  write_text(folder / "empty.png", "");
  EXPECT_THAT(error_of([&] { read_image(folder / "empty.png"); }), HasSubstr("is empty"));
}

TEST_F(Images, HugePicturesAreRefusedBeforeMemoryIsAskedFor) {
  write_jpeg(folder / "a.jpg", Picture::of(8, 8, 1, 5));
  std::string bomb = read_text(folder / "a.jpg");
  const std::size_t frame = bomb.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  bomb.replace(frame + 5, 4, "\xFF\x00\xFF\x00", 4);  // height and width 65280
  write_text(folder / "bomb.jpg", bomb);
  EXPECT_THAT(error_of([&] { read_image(folder / "bomb.jpg"); }),
              HasSubstr("JPEG: has 65280 x 65280 pixels: expected at most 67108864"));
  static_assert(kMostPixels == 67108864);
}

TEST_F(Images, FoldersAreClasses) {
  write_classes("data", {"dog", "cat"});
  write_text(folder / "data/notes.txt", "passed over");
  write_text(folder / "data/cat/Thumbs.db", "passed over");
  write_png(folder / "data/.hidden/x.png", Picture::of(9, 9, 1, 0));
  ASSERT_TRUE(is_image_folder(folder / "data"));
  const DataSource source = read();
  EXPECT_EQ(source.name, "data");
  EXPECT_THAT(source.train.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(source.train.example_shape(), Shape({2, 3, 1}));
  EXPECT_EQ(source.train.size(), 8);
  EXPECT_THAT(class_counts(source.test, 2), ElementsAre(1, 1));
  for (std::size_t i = 0; i < 8; ++i) {
    const bool is_dog = source.train.labels.data<std::int32_t>()[i] == 1;
    EXPECT_EQ(source.train.examples.data<std::uint8_t>()[6 * i], is_dog ? 10 : 20);
    EXPECT_TRUE(source.train.sources[i].starts_with(is_dog ? "dog/" : "cat/")) << source.train.sources[i];
  }
}

TEST_F(Images, NumberedClassesAreInTheirOrder) {
  write_classes("data", {"10", "9", "2"});
  EXPECT_THAT(read().train.class_names, ElementsAre("2", "9", "10"));
}

TEST_F(Images, PartsAreFoldersToo) {
  write_classes("data/train", {"cat", "dog"});
  write_classes("data/test", {"cat", "dog"}, 2);
  const DataSource source = read();
  EXPECT_EQ(source.train.size(), 10);
  EXPECT_EQ(source.test.size(), 4);
  EXPECT_THAT(source.description, ::testing::Not(HasSubstr("split off")));
  write_classes("data/test", {"elk"}, 1);
  EXPECT_THAT(error(), AllOf(HasSubstr("test/elk"), HasSubstr("the training pictures have no such class")));
}

TEST_F(Images, SizesAndColoursThatDifferAreRefusedOrMended) {
  write_classes("data", {"cat", "dog"});
  write_png(folder / "data/dog/9.png", Picture::of(4, 6, 1, 20));
  EXPECT_THAT(error(), AllOf(HasSubstr("dog/9.png: has 4 x 6 pixels but"), HasSubstr("cat/0.png has 2 x 3"),
                             HasSubstr("write image_size = [2, 3]")));
  EXPECT_EQ(read({.height = 4, .width = 4}).train.example_shape(), Shape({4, 4, 1}));
  write_png(folder / "data/dog/9.png", Picture::of(2, 3, 3, 20));
  EXPECT_THAT(error(), AllOf(HasSubstr("is in colour but"), HasSubstr("is grey; write channels = 1 (grey) or 3")));
  EXPECT_EQ(read({.channels = 3}).train.example_shape(), Shape({2, 3, 3}));
  EXPECT_EQ(read({.channels = 1}).train.example_shape(), Shape({2, 3, 1}));
}

TEST_F(Images, WhatIsNoFolderOfClassesIsSaid) {
  write_png(folder / "data/1.png", Picture::of(2, 2, 1, 0));
  ASSERT_TRUE(is_image_folder(folder / "data"));
  EXPECT_THAT(error(), HasSubstr("has 0 folders in it: expected one a class"));
  write_classes("data", {"cat"});
  EXPECT_THAT(error(), HasSubstr("has 1 folder in it"));
  std::filesystem::create_directories(folder / "data/dog");
  EXPECT_THAT(error(), AllOf(HasSubstr("data/dog: has no .png"), HasSubstr("remove the folder")));
  write_text(folder / "data/dog/1.png", "damaged");
  EXPECT_THAT(error(), HasSubstr("dog/1.png: is neither PNG nor JPEG"));
  std::filesystem::create_directories(folder / "empty/a/b");
  EXPECT_FALSE(is_image_folder(folder / "empty"));
}

TEST(Resize, IsTheMeanOfWhatAPixelCovers) {
  const Tensor wide = Tensor::from<std::uint8_t>({0, 100, 200, 40}, {1, 1, 4, 1});
  // By 2: pixel centres at 0.5 and 2.5, a triangle that reaches 2 to both sides.
  //   weights of 0, 1, 2 about 0.5: 0.75, 0.75, 0.25 (of 1.75): (0 * 0.75 + 100 * 0.75 + 200 * 0.25) / 1.75 = 71.43
  //   weights of 1, 2, 3 about 2.5: 0.25, 0.75, 0.75:           (25 + 150 + 30) / 1.75 = 117.14
  EXPECT_THAT(pixels_of(resized(wide, 1, 2)), ElementsAre(71, 117));
  // Twice as large: 0.75 and 0.25 of neighbours, the edge as it is.
  EXPECT_THAT(pixels_of(resized(Tensor::from<std::uint8_t>({0, 100}, {1, 1, 2, 1}), 1, 4)),
              ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(pixels_of(resized(Tensor::from<std::uint8_t>({0, 100}, {1, 2, 1, 1}), 4, 1)),
              ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(pixels_of(resized(wide, 1, 4)), ElementsAre(0, 100, 200, 40));
  const Tensor even = Tensor::full({1, 7, 5, 3}, DType::U8, 123);
  EXPECT_THAT(pixels_of(resized(even, 3, 8)), ::testing::Each(123));
}

TEST(Channels, GreyIsTheLumaOfColour) {
  const Tensor colour = Tensor::from<std::uint8_t>({255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}, {1, 2, 2, 3});
  EXPECT_THAT(pixels_of(with_channels(colour, 1)), ElementsAre(76, 150, 29, 255));  // 0.299, 0.587, 0.114 of 255
  const Tensor grey = Tensor::from<std::uint8_t>({7, 9}, {1, 1, 2, 1});
  EXPECT_THAT(pixels_of(with_channels(grey, 3)), ElementsAre(7, 7, 7, 9, 9, 9));
}

}  // namespace
}  // namespace detent::data::image_folder_test
