# find_package(detent): the target detent::detent.
include(${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake)
if(detent_missing)
  list(JOIN detent_missing ", " detent_missing)
  set(detent_FOUND FALSE)
  set(detent_NOT_FOUND_MESSAGE "detent's headers include those of packages that were not found: ${detent_missing}")
  return()
endif()
include(${CMAKE_CURRENT_LIST_DIR}/detentTargets.cmake)
