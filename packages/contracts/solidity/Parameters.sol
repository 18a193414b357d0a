// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints as History} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {LogCount} from "./LogCount.sol";

/// @notice A number that is voted on. Its name is ASCII, left-aligned.
struct Parameter {
    bytes32 name;
    uint256 value;
    /// Bounds, fixed for ever.
    uint256 least;
    uint256 most;
    /// By how much it changes at most within `period`.
    uint256 step;
}

/// @title The numbers of a network that are voted on
/// @notice Whoever has the role sets a value, within bounds that nobody changes and by no more than
/// a step in a period: no vote, however it was won, turns the network over at once. Old values are
/// kept by block, since a contract that acts on an epoch has to use those that its base had.
contract Parameters is AccessManaged, LogCount {
    using History for History.Trace208;

    event ParameterSet(bytes32 indexed name, uint256 value);
    event ParameterAdded(bytes32 indexed name, uint256 least, uint256 most, uint256 step);

    error UnknownParameter(bytes32 name);
    error ParameterExists(bytes32 name);
    error EmptyBounds(bytes32 name);
    error OutOfBounds(bytes32 name, uint256 least, uint256 most, uint256 found);
    error AboveStep(bytes32 name, uint256 step, uint256 found);
    error TooSoon(bytes32 name, uint256 due);

    struct Limits {
        uint128 least;
        uint128 most;
        uint128 step;
        /// Seconds since 1970; 0: as it was added.
        uint64 changedAt;
    }

    /// Seconds between two changes of one parameter.
    uint256 public immutable period;

    mapping(bytes32 name => Limits) public limits;
    mapping(bytes32 name => History.Trace208) private _values;
    bytes32[] private _names;

    /// Emits nothing: what a network begins with is in its manifest, and in `initial`.
    constructor(address authority_, uint256 period_, Parameter[] memory parameters)
        AccessManaged(authority_)
    {
        period = period_;
        for (uint256 i = 0; i < parameters.length; ++i) _add(parameters[i], 0);
    }

    /// Gives a parameter another value, in force from this block on.
    function set(bytes32 name, uint256 value) external restricted {
        Limits storage known = limits[name];
        uint256 before = get(name);
        if (value < known.least || value > known.most) {
            revert OutOfBounds(name, known.least, known.most, value);
        }
        uint256 change = value > before ? value - before : before - value;
        if (change > known.step) revert AboveStep(name, known.step, change);
        uint256 due = known.changedAt == 0 ? 0 : known.changedAt + period;
        if (block.timestamp < due) revert TooSoon(name, due);
        known.changedAt = uint64(block.timestamp);
        _values[name].push(SafeCast.toUint48(block.number), uint208(value));
        logCount++;
        emit ParameterSet(name, value);
    }

    /// Adds a parameter that there was none of, such as the weight of another kind.
    function add(Parameter calldata parameter) external restricted {
        _add(parameter, SafeCast.toUint48(block.number));
        logCount += 2;
        emit ParameterAdded(
            parameter.name, parameter.least, parameter.most, parameter.step
        );
        emit ParameterSet(parameter.name, parameter.value);
    }

    /// All parameters, in the order they were added in.
    function names() external view returns (bytes32[] memory) {
        return _names;
    }

    /// The value that a parameter was added with.
    function initial(bytes32 name) external view returns (uint256) {
        return _known(name).pos(0)._value;
    }

    /// The lowest and the highest value in force between the ends of two blocks; both are that of
    /// `to` where `from` is not before it. 0 before the parameter was added.
    function rangeOf(bytes32 name, uint256 from, uint256 to)
        external
        view
        returns (uint256 lowest, uint256 highest)
    {
        History.Trace208 storage values = _known(name);
        uint256 i = values.length();
        while (i != 0 && values.pos(uint32(i - 1))._key > to) --i;
        if (i == 0) return (0, 0);
        History.Checkpoint208 memory value = values.pos(uint32(--i));
        (lowest, highest) = (value._value, value._value);
        while (value._key > from) {
            if (i == 0) return (0, highest);
            value = values.pos(uint32(--i));
            if (value._value < lowest) lowest = value._value;
            if (value._value > highest) highest = value._value;
        }
    }

    /// The value in force.
    function get(bytes32 name) public view returns (uint256) {
        return _known(name).latest();
    }

    function _add(Parameter memory parameter, uint48 from) private {
        (bytes32 name, uint256 value) = (parameter.name, parameter.value);
        if (_values[name].length() != 0) revert ParameterExists(name);
        if (name == 0 || parameter.least > parameter.most) revert EmptyBounds(name);
        if (value < parameter.least || value > parameter.most) {
            revert OutOfBounds(name, parameter.least, parameter.most, value);
        }
        limits[name] = Limits({
            least: SafeCast.toUint128(parameter.least),
            most: SafeCast.toUint128(parameter.most),
            step: SafeCast.toUint128(parameter.step),
            changedAt: 0
        });
        _values[name].push(from, uint208(value));
        _names.push(name);
    }

    function _known(bytes32 name) private view returns (History.Trace208 storage values) {
        values = _values[name];
        if (values.length() == 0) revert UnknownParameter(name);
    }
}
