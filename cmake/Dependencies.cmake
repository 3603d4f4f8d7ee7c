# Third-party libraries, with the oldest version that the project accepts. The build reads this file, and so does the
# installed package: there a library that is missing makes find_package(detent) fail instead of stopping CMake.
include(CMakeFindDependencyMacro)
macro(detent_dependency)
  if("${CMAKE_FIND_PACKAGE_NAME}" STREQUAL "detent")
    find_dependency(${ARGV})
  else()
    find_package(${ARGV} REQUIRED)
  endif()
endmacro()

detent_dependency(Eigen3 3.4 NO_MODULE)
detent_dependency(TBB 2021.5)
detent_dependency(OneDNN 2.6...<3)  # version 3 has another interface
detent_dependency(OpenMP COMPONENTS CXX)
detent_dependency(nlohmann_json 3.10)
detent_dependency(tomlplusplus 3.0)
detent_dependency(fmt 8)
detent_dependency(ZLIB 1.2)
detent_dependency(CURL 7.80)
enable_language(C)  # CMake finds HDF5 by compiling C
detent_dependency(HDF5 1.10 COMPONENTS C)
if(NOT TARGET hdf5::hdf5)
  add_library(hdf5::hdf5 INTERFACE IMPORTED)
  target_include_directories(hdf5::hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
  target_link_libraries(hdf5::hdf5 INTERFACE ${HDF5_C_LIBRARIES})
endif()

# What only the program, the tests and the benchmarks use.
if(NOT "${CMAKE_FIND_PACKAGE_NAME}" STREQUAL "detent")
  find_package(cxxopts 3.0 REQUIRED)
  if(DETENT_BUILD_TESTS)
    find_package(GTest 1.11 REQUIRED)
  endif()
  if(DETENT_BUILD_BENCH)
    find_package(benchmark 1.6 REQUIRED)
  endif()
endif()
