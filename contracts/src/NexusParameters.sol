// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EnumerableMap} from "@openzeppelin/contracts/utils/structs/EnumerableMap.sol";

/// @title Named numbers of the platform that its members decide.
/// @notice A key is up to 32 ASCII characters, padded with zeros on the right. The owner is the members' timelock.
contract NexusParameters is Ownable {
    using EnumerableMap for EnumerableMap.Bytes32ToUintMap;

    EnumerableMap.Bytes32ToUintMap private _values;

    event ParameterSet(bytes32 indexed key, uint256 value);
    event ParameterRemoved(bytes32 indexed key);

    error EmptyKey();
    error UnknownKey(bytes32 key);

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Set a number.
    function set(bytes32 key, uint256 value) external onlyOwner {
        if (key == 0) revert EmptyKey();
        _values.set(key, value);
        emit ParameterSet(key, value);
    }

    /// @notice Forget a number.
    function remove(bytes32 key) external onlyOwner {
        if (!_values.remove(key)) revert UnknownKey(key);
        emit ParameterRemoved(key);
    }

    /// @notice Whether a number is set, and the number.
    function get(bytes32 key) external view returns (bool isSet, uint256 value) {
        return _values.tryGet(key);
    }

    /// @notice Every key, in no order.
    function keys() external view returns (bytes32[] memory) {
        return _values.keys();
    }
}
