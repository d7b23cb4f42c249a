// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Votes} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Votes.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title Membership: one token and one vote each, not for sale.
/// @notice A membership's id is its member's address. A new member votes for itself until it delegates.
contract NexusVotes is ERC721, EIP712, ERC721Votes, AccessControl {
    /// @notice May admit and remove members.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    bytes4 private constant _ERC5192 = 0xb45a3c0e;

    /// @notice How many members there are.
    uint256 public memberCount;

    /// @notice ERC-5192: this token is bound to its holder.
    event Locked(uint256 tokenId);

    error NotTransferable();
    error NotAMember(address account);
    error AlreadyAMember(address account);
    error ZeroAddress();

    /// @param admin Gets both roles.
    constructor(
        string memory name_,
        string memory symbol_,
        address admin
    ) ERC721(name_, symbol_) EIP712(name_, "1") {
        if (admin == address(0)) revert ZeroAddress();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(REGISTRAR_ROLE, admin);
    }

    /// @notice Make somebody a member; reverts when it is one.
    function admit(address member) external onlyRole(REGISTRAR_ROLE) {
        if (isMember(member)) revert AlreadyAMember(member);
        _mint(member, idOf(member));
        if (delegates(member) == address(0)) _delegate(member, member);
        emit Locked(idOf(member));
    }

    /// @notice End a membership.
    function remove(address member) external onlyRole(REGISTRAR_ROLE) {
        _end(member);
    }

    /// @notice End one's own membership.
    function resign() external {
        _end(_msgSender());
    }

    /// @notice ERC-5192: every membership is locked.
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @notice Whether somebody is a member.
    function isMember(address account) public view returns (bool) {
        return _ownerOf(idOf(account)) != address(0);
    }

    /// @notice The id of a membership.
    function idOf(address account) public pure returns (uint256) {
        return uint160(account);
    }

    /// @notice Memberships cannot be handed to others.
    function approve(address, uint256) public pure override {
        revert NotTransferable();
    }

    /// @notice Memberships cannot be handed to others.
    function setApprovalForAll(address, bool) public pure override {
        revert NotTransferable();
    }

    /// @notice Time is counted in seconds (ERC-6372), because blocks take differently long on each chain.
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @notice ERC-6372.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC721, AccessControl) returns (bool) {
        return interfaceId == _ERC5192 || super.supportsInterface(interfaceId);
    }

    function _end(address member) private {
        if (!isMember(member)) revert NotAMember(member);
        _burn(idOf(member));
    }

    function _update(
        address to,
        uint256 tokenId,
        address auth
    ) internal override(ERC721, ERC721Votes) returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0) && to != address(0)) revert NotTransferable();
        if (from == address(0)) ++memberCount;
        else --memberCount;
    }

    function _increaseBalance(address account, uint128 amount) internal override(ERC721, ERC721Votes) {
        super._increaseBalance(account, amount);
    }
}
