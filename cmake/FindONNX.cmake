# Finds the messages of the ONNX format and protobuf, which they are made of, as onnx::proto, with ONNX_VERSION.
# The ONNXConfig.cmake of distributions asks for libraries that the project does not need.
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h)
find_path(ONNX_PROTOBUF_INCLUDE_DIR google/protobuf/message.h)
find_library(ONNX_PROTO_LIBRARY onnx_proto)
find_library(ONNX_PROTOBUF_LIBRARY protobuf)
mark_as_advanced(ONNX_INCLUDE_DIR ONNX_PROTOBUF_INCLUDE_DIR ONNX_PROTO_LIBRARY ONNX_PROTOBUF_LIBRARY)

if(ONNX_INCLUDE_DIR)
  file(STRINGS ${ONNX_INCLUDE_DIR}/onnx/common/version.h lines REGEX "LAST_RELEASE_VERSION *=")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" ONNX_VERSION "${lines}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ONNX REQUIRED_VARS ONNX_PROTO_LIBRARY ONNX_PROTOBUF_LIBRARY ONNX_INCLUDE_DIR
                                                     ONNX_PROTOBUF_INCLUDE_DIR
                                  VERSION_VAR ONNX_VERSION)

if(ONNX_FOUND AND NOT TARGET onnx::proto)
  add_library(onnx::proto UNKNOWN IMPORTED)
  set_target_properties(onnx::proto PROPERTIES
                        IMPORTED_LOCATION ${ONNX_PROTO_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES "${ONNX_INCLUDE_DIR};${ONNX_PROTOBUF_INCLUDE_DIR}"
                        INTERFACE_COMPILE_DEFINITIONS "ONNX_ML=1;ONNX_NAMESPACE=onnx"  # as distributions build it
                        INTERFACE_LINK_LIBRARIES ${ONNX_PROTOBUF_LIBRARY})
endif()
