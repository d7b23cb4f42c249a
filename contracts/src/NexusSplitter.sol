// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What comes in is split by shares that are fixed at creation; each payee is paid when somebody asks for it.
/// @notice Of everything ever received, a payee is due floor(received * its shares / all shares) less what it got. What
/// the division leaves, always less than one unit a payee, stays here and is split together with what comes next.
/// A payee that cannot be paid blocks nobody else. Tokens that take a fee are split by what arrived here; tokens whose
/// balances shrink by themselves pay whoever asks first, never more than there is.
contract NexusSplitter is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice All shares together.
    uint256 public immutable totalShares;
    /// @notice Native coin paid out so far.
    uint256 public totalReleased;
    /// @notice Shares of a payee.
    mapping(address payee => uint256) public shares;
    /// @notice Native coin paid to a payee so far.
    mapping(address payee => uint256) public released;
    /// @notice Token paid out so far.
    mapping(IERC20 token => uint256) public totalTokenReleased;
    /// @notice Token paid to a payee so far.
    mapping(IERC20 token => mapping(address payee => uint256)) public tokenReleased;
    address[] private _payees;

    event PaymentReceived(address indexed from, uint256 amount);
    event PaymentReleased(address indexed to, uint256 amount);
    event TokenPaymentReleased(IERC20 indexed token, address indexed to, uint256 amount);

    error NoPayees();
    error DifferentLengths(uint256 payees, uint256 shares);
    error ZeroAddress();
    error ZeroShares(address payee);
    error DuplicatePayee(address payee);
    error NotAPayee(address account);
    error NothingDue(address payee);

    constructor(address[] memory payees_, uint256[] memory shares_) {
        uint256 count = payees_.length;
        if (count == 0) revert NoPayees();
        if (count != shares_.length) revert DifferentLengths(count, shares_.length);
        uint256 total;
        for (uint256 i; i < count; ++i) {
            (address payee, uint256 share) = (payees_[i], shares_[i]);
            if (payee == address(0)) revert ZeroAddress();
            if (share == 0) revert ZeroShares(payee);
            if (shares[payee] != 0) revert DuplicatePayee(payee);
            shares[payee] = share;
            total += share;
        }
        _payees = payees_;
        totalShares = total;
    }

    receive() external payable {
        emit PaymentReceived(msg.sender, msg.value);
    }

    /// @notice Pay a payee the native coin that it is due; anybody may ask.
    function release(address payable payee) external nonReentrant {
        uint256 amount = releasable(payee);
        if (amount == 0) revert NothingDue(payee);
        totalReleased += amount;
        released[payee] += amount;
        emit PaymentReleased(payee, amount);
        Address.sendValue(payee, amount);
    }

    /// @notice Pay a payee the tokens that it is due; anybody may ask.
    function releaseToken(IERC20 token, address payee) external nonReentrant {
        uint256 amount = releasableToken(token, payee);
        if (amount == 0) revert NothingDue(payee);
        totalTokenReleased[token] += amount;
        tokenReleased[token][payee] += amount;
        emit TokenPaymentReleased(token, payee, amount);
        token.safeTransfer(payee, amount);
    }

    /// @notice Every payee, in the order of creation.
    function payees() external view returns (address[] memory) {
        return _payees;
    }

    /// @notice Native coin that a payee is due now.
    function releasable(address payee) public view returns (uint256) {
        return _due(payee, address(this).balance, totalReleased, released[payee]);
    }

    /// @notice Tokens that a payee is due now.
    function releasableToken(IERC20 token, address payee) public view returns (uint256) {
        return _due(payee, token.balanceOf(address(this)), totalTokenReleased[token], tokenReleased[token][payee]);
    }

    /// @dev Never more than there is, and never a subtraction below zero, also when a token's balance shrank.
    function _due(address payee, uint256 balance, uint256 paidToAll, uint256 paid) private view returns (uint256) {
        if (shares[payee] == 0) revert NotAPayee(payee);
        uint256 entitled = Math.mulDiv(balance + paidToAll, shares[payee], totalShares);
        return Math.min(Math.saturatingSub(entitled, paid), balance);
    }
}
