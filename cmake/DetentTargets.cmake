# A new compiler has new warnings: they stop the build only of those that it is known to be free of warnings with.
set(tried OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12
   AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
  set(tried ON)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
  set(tried ON)
endif()
option(DETENT_WERROR "Warnings stop the build" ${tried})

# How every target of the project is compiled.
add_library(detent_options INTERFACE)
target_compile_features(detent_options INTERFACE cxx_std_20)
target_compile_options(detent_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                                $<$<BOOL:${DETENT_WERROR}>:-Werror> -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(detent_options INTERFACE -Wno-restrict)  # false alarms on std::string, GCC bug 105651
endif()
if(CMAKE_UNITY_BUILD)
  # Eight sources look like one: what one keeps to itself would be shadowed by local variables of its neighbours, and
  # every class look like a header's, which must not have members of local types. Preset debug keeps both warnings.
  target_compile_options(detent_options INTERFACE -Wno-shadow
                                                  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
                                                  $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  target_compile_options(detent_options INTERFACE -Wno-pass-failed)  # a loop that was asked to be vectorized is not
  # Templates of io/options.h return json, which headers only name; clang wants it whole where they stand.
  target_compile_options(detent_options INTERFACE "SHELL:-include nlohmann/json.hpp")
endif()
if(DETENT_SANITIZE)
  target_compile_options(detent_options INTERFACE -fsanitize=${DETENT_SANITIZE} -fno-omit-frame-pointer
                                                  -fno-sanitize-recover=all
                                                  # Instrumented code confuses these; other builds have them.
                                                  -Wno-array-bounds
                                                  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
                                                  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
  target_link_options(detent_options INTERFACE -fsanitize=${DETENT_SANITIZE})
endif()

# For tests, and for folders that do not compute: what more than -O1 gains there is less than what it costs to compile.
set(detent_light_optimization $<$<CONFIG:Release>:-O1>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND detent_light_optimization $<$<CONFIG:Release>:-Wno-array-bounds>)  # false alarms on std::string, at -O1
endif()

# ccache where it is installed; the sloppiness lets it serve sources that use a precompiled header.
find_program(CCACHE_PROGRAM ccache)
mark_as_advanced(CCACHE_PROGRAM)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

# detent_headers(<folder>): its headers are included as "detent/<folder>/...", in the tree as after installation.
function(detent_headers name)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/detent)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${name} ${PROJECT_BINARY_DIR}/include/detent/${name} SYMBOLIC)
endfunction()

# detent_library(<folder> [SOURCES ...] [LINK_PUBLIC ...] [LINK_PRIVATE ...]): one static library a folder, of all its
# sources and those named. What is installed is one shared library of all folders, see Package.cmake.
function(detent_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK_PUBLIC;LINK_PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cpp)
  detent_headers(${name})
  add_library(detent_${name} STATIC ${sources} ${ARG_SOURCES})
  add_library(detent::${name} ALIAS detent_${name})
  set_target_properties(detent_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(detent_${name} PUBLIC ${PROJECT_BINARY_DIR}/include)
  target_link_libraries(detent_${name} PUBLIC ${ARG_LINK_PUBLIC} PRIVATE detent_options ${ARG_LINK_PRIVATE})
  target_compile_features(detent_${name} PUBLIC cxx_std_20)
  set_property(GLOBAL APPEND PROPERTY DETENT_FOLDERS ${name})
endfunction()
